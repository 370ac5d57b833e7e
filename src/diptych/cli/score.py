"""``diptych score``: judge a synthesizer, or any folder of made pictures, by real ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, load_model
from diptych.cli.options import SETTINGS, Config, Json, Quiet

if TYPE_CHECKING:
    from diptych.report import Report

BY_NAME = ("kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage")


def score(
    made: Annotated[
        str,
        typer.Argument(
            metavar="SYNTHESIZER|FOLDER", help="The folder of a synthesizer, or pictures that anything has made."
        ),
    ],
    against: Annotated[
        str, typer.Option("--against", metavar="REAL", help="Real pictures, best ones that were not trained on.")
    ],
    judge: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="A recognizer that sees for the distances.  [default: the best that is at hand]"
        ),
    ] = None,
    seen: Annotated[
        str | None,
        typer.Option(metavar="TRAIN", help="The pictures that were learned from: copies of them are looked for."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", min=1, help="How many made pictures to judge.  [default: up to 2000]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the pictures made and of all that is drawn.")] = 0,
    json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Judge made pictures by real ones: how near, how true, how varied, how useful, and whether they are copies.

    Example: diptych score models/pets-flow --against test/ --seen photos/ -o score.html

    It takes any folder of pictures, so other tools' work can be judged too. If REAL is what the synthesizer was fitted
    on, the pictures kept back then are judged against, and copies of the others are looked for without --seen.
    """
    subject: Any = load_model(Path(made), *SYNTHESIZERS) if (Path(made) / "model.json").exists() else None
    recognizer = None if judge is None else load_model(judge, "recognizer")
    from diptych import interplay
    from diptych.data.images import Images

    subject = subject or Images.open(made)
    real = Images.open(against)
    learned = None if seen is None else Images.open(seen)
    report = interplay.score(subject, against=real, judge=recognizer, seen=learned, number=number, seed=seed)
    if json:
        console.print_json(told(report))
    else:
        console.print_text(str(report))
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    opened = [images for images in (subject, real, learned) if isinstance(images, Images)]
    if sum(console.list_skipped(some, map(str, some.known_errors().values())) for some in opened):
        raise typer.Exit(4)


def told(report: "Report") -> dict[str, Any]:
    """The scores as one JSON object; what does not apply is null."""
    from diptych.interplay.score import ALL_CLASSES, BASELINE_TABLE, CAS_TABLE
    from diptych.report.report import plain

    beside = [row[2] for row in plain(report.tables[BASELINE_TABLE].rows)]
    names = [name for name in BY_NAME if name in report.scores]
    useful = report.tables[CAS_TABLE].rows if CAS_TABLE in report.tables else []
    copies = report.tables.get("Copies")
    answer: dict[str, Any] = plain({
        **{name: report.scores.get(name) for name in BY_NAME},
        "real": {**dict.fromkeys(BY_NAME), **dict(zip(names, beside, strict=True))},
        "cas": report.scores.get("cas"),
        "cas_per_class": {row[0]: row[1] for row in useful if row[0] != ALL_CLASSES} or None,
        "cas_real": next((row[2] for row in useful if row[0] == ALL_CLASSES and len(row) > 2), None),
        "memorisation": report.facts["memorisation"],
        "pairs": [] if copies is None else [dict(zip(copies.columns, row, strict=True)) for row in copies.rows],
        "bits_per_dimension": report.scores.get("bits_per_dimension"),
        "calls": report.facts.get("network calls per picture"),
        "seconds_a_picture": report.facts.get("seconds per picture"),
        "seconds": report.facts["seconds in total"],
        "pictures": report.facts["pictures"],
        "size": report.facts["size"],
        "extractor": report.facts["extractor"],
        "findings": report.findings,
    })  # fmt: skip
    return answer


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Judge made pictures by real ones.")(score)
