"""``diptych balance``: fill up scarce classes with generated pictures, as an ordinary folder."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, load_model
from diptych.cli.options import SETTINGS, Config, Json, Labels, Quiet
from diptych.files import check_output_file, check_output_folder, write_bytes


def balance(
    pictures: Annotated[str, typer.Argument(metavar="PICTURES", help="Real pictures with one label each.")],
    synthesizer: Annotated[
        Path, typer.Argument(metavar="SYNTHESIZER", help="The folder of a synthesizer, fitted on these classes.")
    ],
    per_class: Annotated[
        int, typer.Option("--per-class", min=1, help="Pictures that each class shall have, real and generated.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the balanced set.")],
    recognizer: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Its errors say which class needs pictures.  [default: one is trained]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples and of every random choice.")] = 0,
    labels: Labels = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report there, too.  [default: only into FOLDER]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Fill up scarce classes with generated pictures that pass a filter: right class, like real ones, no copies.

    Example: diptych balance photos/ models/pets-flow --per-class 500 -o fuller/

    FOLDER becomes an ordinary set of pictures, real and generated ones; metadata.csv says which are which, so that the
    generated ones are trained on and never validated on. A class gets fewer, or none, if its generated pictures do not
    cover the real ones or are taken for others; FOLDER/report.html says why.
    """
    check_output_folder(output)
    if report is not None:
        check_output_file(report)
    model = load_model(synthesizer, *SYNTHESIZERS)
    chosen = None if recognizer is None else load_model(recognizer, "recognizer")
    from diptych.data.images import Images
    from diptych.interplay import balance_folder
    from diptych.interplay.balance import balanced, request_facts

    images = Images.open(pictures, labels)
    request = request_facts(images, model, per_class, chosen, seed)
    answer = balance_folder.answer_there(output, request)
    if answer is None:
        result = balanced(images, model, per_class=per_class, recognizer=chosen, seed=seed)
        answer = balance_folder.write(result, output, request, data=pictures, model=str(synthesizer))
        if not json:
            console.print_report(result.report, output / balance_folder.REPORT)
    else:
        console.log.info("%s already holds this set, finished.", output)
        if not json:
            console.print_text(answer["verdict_text"])
    if json:
        console.print_json({"folder": str(output), **answer})
    if report is not None:
        write_bytes(report, (output / balance_folder.REPORT).read_bytes())
    if console.list_skipped(images, map(str, images.known_errors().values())):
        raise typer.Exit(4)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Fill up scarce classes with generated pictures.")(balance)
