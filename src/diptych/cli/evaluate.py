"""``diptych evaluate``: score a recognizer on pictures that it was not trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import load_predictor
from diptych.cli.next_step import with_run_options
from diptych.cli.options import SETTINGS, Config, Data, Json, Labels, Manifest, Model, Quiet
from diptych.cli.paths import open_images
from diptych.files import check_output_file

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.report import Report


def evaluate(
    model: Model,
    data: Data,
    unknown: Annotated[
        str | None,
        typer.Option("--unknown", metavar="PATH", help="Pictures of other things: measure how well they are detected."),
    ] = None,
    labels: Labels = None,
    manifest: Manifest = None,
    json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Score a recognizer on labelled pictures that it was not trained on.

    Example: diptych evaluate models/pets test/ -o test.html

    Scores with 95 % intervals are printed, overall and for each class; classes are matched by name. The pictures of
    --unknown (a folder, Parquet and so on) need no labels. If the set has a test part, by its folders or by the
    --manifest, only that part is scored.
    """
    if output is not None:
        check_output_file(output)
    recognizer = load_predictor(model, "recognizer", "gallery")
    images = open_images(data, manifest, labels)
    ood_images = None if unknown is None else open_images(unknown, labels="none")
    report = recognizer.evaluate(images, unknown=ood_images)
    if report.verdict is not None:
        report.verdict = report.verdict.with_names(model=str(model))
        if model.is_dir():
            report.verdict = with_run_options(report.verdict, model)
    left_out = sum(_list_unreadable(opened) for opened in (images, ood_images) if opened is not None)
    if json:
        console.print_json(_scores_json(report))
    else:
        console.print_report(report, output)
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    if left_out:
        raise typer.Exit(4)


def _list_unreadable(images: "Images") -> int:
    return console.list_skipped(images, map(str, images.known_errors().values()))


def _scores_json(report: "Report") -> dict[str, Any]:
    """The scores as one JSON object, each class by its name."""
    from diptych.report.report import to_jsonable

    table, verdict = report.tables["Classes"], report.verdict
    names = table.columns[1:]
    rows = to_jsonable(table.rows)
    return {
        **(verdict.answer() if verdict else {}),
        **{name: score.json() for name, score in report.scores.items()},
        "per_class": {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows},
        **_ood_scores_json(report),
        "n": report.scores["accuracy"].n,
        "findings": report.findings,
    }


def _ood_scores_json(report: "Report") -> dict[str, Any]:
    """The AUROC of each out-of-distribution score alone, and the number of unknown pictures."""
    from diptych.recognition.confidence.ood import OOD_SCORES
    from diptych.recognition.evaluation.ood_evaluation import BY_SCORE

    table = report.tables.get(BY_SCORE)
    if table is None:
        return {}
    return {
        "unknown_auroc_by_score": {name: score.json() for name, score in table.rows if name in OOD_SCORES},
        "unknown_n": report.scores["unknown_tpr"].n,
    }


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(evaluate)
