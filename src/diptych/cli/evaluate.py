"""``diptych evaluate``: score a recognizer on pictures it has not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import loaded
from diptych.cli.options import SETTINGS, Config, Data, Json, Model, Quiet

if TYPE_CHECKING:
    from diptych.report import Report


def evaluate(
    model: Model,
    data: Data,
    json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Score a recognizer on labelled pictures that it has not seen.

    Example: diptych evaluate models/pets test/ -o test.html

    Scores with 95 % intervals are printed, over all and for each class; classes are matched by name.
    """
    recognizer = loaded(model, "recognizer")
    from diptych.data.images import Images

    images = Images.open(data)
    report = recognizer.evaluate(images)
    left_out = console.name_left_out(images, map(str, images.known_errors().values()))
    if json:
        console.emit(_told(report))
    else:
        console.say(str(report))
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    if left_out:
        raise typer.Exit(4)


def _told(report: "Report") -> dict[str, Any]:
    """The scores as one JSON object, each class by its name."""
    from diptych.report.report import plain

    table = report.tables["Classes"]
    names = table.columns[1:]
    rows = plain(table.rows)
    return {
        **{name: score.json() for name, score in report.scores.items()},
        "per_class": {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows},
        "n": report.scores["accuracy"].n,
        "findings": report.findings,
    }


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(evaluate)
