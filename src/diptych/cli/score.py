"""``diptych score``: compare a synthesizer's samples, or any folder of generated pictures, with real ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych import artefact
from diptych.cli import console
from diptych.cli.cluster import on_cluster
from diptych.cli.models import SYNTHESIZERS, load_model
from diptych.cli.next_step import with_run_options
from diptych.cli.options import SETTINGS, Config, Json, Labels, On, Quiet
from diptych.files import check_output_file

if TYPE_CHECKING:
    from diptych.report import Report

DISTRIBUTION_SCORES = ("kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage")


def score(
    generated: Annotated[
        str,
        typer.Argument(
            metavar="SYNTHESIZER|FOLDER", help="The folder of a synthesizer, or generated pictures of any origin."
        ),
    ],
    against: Annotated[
        str, typer.Option("--against", metavar="REAL", help="Real pictures, preferably not trained on.")
    ],
    judge: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="A recognizer as feature extractor.  [default: the best that is available]"),
    ] = None,
    seen: Annotated[
        str | None,
        typer.Option(metavar="TRAIN", help="The training pictures, of which copies are searched for."),
    ] = None,
    labels: Labels = None,
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", min=1, help="Number of generated pictures to score.  [default: up to 2000]"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="A time budget: fewer pictures and shorter trainings.  [default: no limit]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples and of every random choice.")] = 0,
    json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    on: On = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Compare generated pictures with real ones: distance, fidelity, variety, usefulness for training, and copies.

    The first lines are the verdict: close to real, recognisable, little variety, like noise or blurs, or copies.

    Example: diptych score models/pets-flow --against test/ --seen photos/ -o score.html

    Any folder of pictures is accepted, so other tools' output can be scored too. If REAL is the folder that the
    synthesizer was fitted on, the pictures held out from training are the reference, and copies of the others are
    searched for without --seen.
    """
    from diptych.sharing import hub

    if output is not None:
        check_output_file(output)
    begun = Path(generated, "checkpoint").is_dir()  # a model that is not yet one
    is_model = begun or artefact.exists(generated) or hub.is_address(generated)
    subject: Any = load_model(Path(generated), *SYNTHESIZERS) if is_model else None
    recognizer = None if judge is None else load_model(judge, "recognizer")
    from diptych import interplay
    from diptych.data.images import Images

    subject = subject or Images.open(generated)
    real = Images.open(against, labels)
    training = None if seen is None else Images.open(seen, labels)
    with on_cluster(on):
        report = interplay.score(
            subject, against=real, judge=recognizer, seen=training, number=number, minutes=minutes, seed=seed
        )
    if report.verdict is not None:
        pictures = {} if seen is None else {"data": seen}
        names = {"model": generated, "generated": generated, "real": against, **pictures}
        report.verdict = report.verdict.with_names(labels=labels, **names)
        if artefact.exists(generated):
            report.verdict = with_run_options(report.verdict, Path(generated))
    if json:
        console.print_json(scores_json(report))
    else:
        console.print_report(report, output)
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    opened = [images for images in (subject, real, training) if isinstance(images, Images)]
    if sum(console.list_skipped(images, map(str, images.known_errors().values())) for images in opened):
        raise typer.Exit(4)


def scores_json(report: "Report") -> dict[str, Any]:
    """The scores as one JSON object; a score that does not apply is null.

    A program may read the findings alone: what the verdict rests on is the first of them.
    """
    from diptych.interplay.score import ALL_CLASSES, BASELINE_TABLE, CAS_TABLE
    from diptych.report.report import to_jsonable

    references = [row[2] for row in to_jsonable(report.tables[BASELINE_TABLE].rows)]
    names = [name for name in DISTRIBUTION_SCORES if name in report.scores]
    cas_rows = report.tables[CAS_TABLE].rows if CAS_TABLE in report.tables else []
    copies = report.tables.get("Copies")
    scores: dict[str, Any] = to_jsonable({
        **(report.verdict.answer() if report.verdict else {}),
        **{name: report.scores.get(name) for name in DISTRIBUTION_SCORES},
        "real": {**dict.fromkeys(DISTRIBUTION_SCORES), **dict(zip(names, references, strict=True))},
        "cas": report.scores.get("cas"),
        "cas_per_class": {row[0]: row[1] for row in cas_rows if row[0] != ALL_CLASSES} or None,
        "cas_real": next((row[2] for row in cas_rows if row[0] == ALL_CLASSES and len(row) > 2), None),
        "memorisation": report.facts["memorisation"],
        "pairs": [] if copies is None else [dict(zip(copies.columns, row, strict=True)) for row in copies.rows],
        "bits_per_dimension": report.scores.get("bits_per_dimension"),
        "calls_per_picture": report.facts.get("network calls per picture"),
        "seconds_per_picture": report.facts.get("seconds per picture"),
        "seconds": report.facts["seconds in total"],
        "pictures": report.facts["pictures"],
        "size": report.facts["size"],
        "extractor": report.facts["extractor"],
        "findings": [*([report.verdict.reason] if report.verdict else []), *report.findings],
    })  # fmt: skip
    return scores


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Compare generated pictures with real ones.")(score)
