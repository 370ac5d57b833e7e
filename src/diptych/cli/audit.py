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

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Write report.html and audit.json into this folder."),
]
app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Audit a model: bias, privacy.")


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
    output: Output = None,
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
    _show(report, output, json=json)
    if console.list_skipped(images, map(str, images.known_errors().values())):
        raise typer.Exit(4)


@app.command(context_settings=SETTINGS)
def privacy(
    model: Model,
    seen: Annotated[str, typer.Option(metavar="TRAIN", help="The pictures that the model was trained on.")],
    unseen: Annotated[
        str,
        typer.Option(metavar="HELD-OUT", help="Pictures of the same source that it was not trained on; 200 or more."),
    ],
    labels: Labels = None,
    references: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Reference models to train, an even number; from 16 on single pictures at risk are shown.  "
            "[default: 4 for a recognizer, 2 for a VAE or a flow]",
        ),
    ] = None,
    canaries: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train a recognizer once more with so many wrongly labelled pictures, and bound ε from below."
        ),
    ] = None,
    number: Annotated[int | None, typer.Option("-n", "--number", min=1, help="Samples of a synthesizer.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.001, help="Time for all reference models.  [default: the model's own settings]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Find out whether a model gives away its training pictures, or who was among them.

    Example: diptych audit privacy models/pets --seen train/ --unseen test/ -o privacy

    The model is attacked: how many of its training pictures are recognised as such, while at most 1 % of other
    pictures are mistaken for them? Reference models of the same settings are trained for comparison. The samples of a
    synthesizer are also searched for copies.
    """
    if output is not None:
        check_output_folder(output)
    subject = load_model(model, "recognizer", *SYNTHESIZERS)
    from diptych import audit

    known, others = open_images(seen, labels=labels), open_images(unseen, labels=labels)
    report = audit.privacy(
        subject,
        seen=known,
        unseen=others,
        references=references,
        canaries=canaries,
        number=number,
        minutes=minutes,
        seed=seed,
    )
    if report.verdict is not None:
        names = {"model": str(model), "train": seen, "held-out": unseen, "data": seen}
        report.verdict = report.verdict.with_names(labels=labels, **names)
    _show(report, output, json=json)
    skipped = [console.list_skipped(images, map(str, images.known_errors().values())) for images in (known, others)]
    if any(skipped):
        raise typer.Exit(4)


def _show(report: "Report", output: Path | None, *, json: bool) -> None:
    """Print the report, and write it into the folder if there is one."""
    if json:
        console.print_json(report.json())
    else:
        console.print_report(report, None if output is None else output / "report.html")
    if output is not None:
        _write(report, output)


def _write(report: "Report", folder: Path) -> None:
    import json

    write_text(folder / "audit.json", json.dumps(report.json(), ensure_ascii=False, allow_nan=False, indent=1))
    report.save(folder / "report.html")
    console.log.info("The report is in %s", folder / "report.html")


def add_to(parent: typer.Typer) -> None:
    """Add the verbs, as a group."""
    parent.add_typer(app, name="audit")
