"""``diptych audit``: what a model may do to the people and things in its pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, load_model
from diptych.cli.next_step import with_run_options
from diptych.cli.options import SETTINGS, Config, Json, Labels, Model, Quiet
from diptych.cli.paths import open_images
from diptych.files import check_output_folder, write_text

if TYPE_CHECKING:
    from diptych.report import Report

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Audit a model: bias.")


@app.command(context_settings=SETTINGS)
def bias(
    model: Model,
    pictures: Annotated[
        str, typer.Argument(metavar="PICTURES", help="Real labelled pictures, best ones that were not trained on.")
    ],
    groups: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,COLUMN", help="Metadata columns.  [default: all with 2 to 20 values]"),
    ] = None,
    seen: Annotated[
        str | None, typer.Option(metavar="TRAIN", help="A synthesizer's training pictures, to search for copies.")
    ] = None,
    labels: Labels = None,
    number: Annotated[
        int | None, typer.Option("-n", "--number", min=1, help="Samples of each class of a synthesizer.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Write report.html and audit.json into this folder."),
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Find groups on which a model is worse, and shortcuts that a recognizer has learned.

    Example: diptych audit bias models/pets test/ --groups camera,light -o audit

    Groups are the values of metadata columns, and of two columns at once. A shortcut is a property, such as a border
    or a background, that a recognizer goes by instead of what the pictures show. Of a synthesizer, distance, coverage
    and copies are compared class by class.
    """
    if output is not None:
        check_output_folder(output)
    subject = load_model(model, "recognizer", *SYNTHESIZERS)
    from diptych import audit

    images = open_images(pictures, labels=labels)
    training = None if seen is None else open_images(seen, labels=labels)
    columns = None if groups is None else [name.strip() for name in groups.split(",") if name.strip()]
    report = audit.bias(subject, images, groups=columns, seen=training, number=number, seed=seed)
    if report.verdict is not None:
        report.verdict = with_run_options(report.verdict.with_names(labels=labels, model=str(model)), model)
    if json:
        console.print_json(report.json())
    else:
        page = None if output is None else output / "report.html"
        console.print_report(report, page)
    if output is not None:
        _write(report, output)
    if console.list_skipped(images, map(str, images.known_errors().values())):
        raise typer.Exit(4)


def _write(report: "Report", folder: Path) -> None:
    import json

    write_text(folder / "audit.json", json.dumps(report.json(), ensure_ascii=False, allow_nan=False, indent=1))
    report.save(folder / "report.html")
    console.log.info("The report is in %s", folder / "report.html")


def add_to(parent: typer.Typer) -> None:
    """Add the verbs, as a group."""
    parent.add_typer(app, name="audit")
