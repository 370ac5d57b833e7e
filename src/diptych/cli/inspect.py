"""``diptych inspect``: check pictures before training on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.data.inspection.inspect import Inspection

LABELS_NOT_CHECKED = (
    "Label errors were not searched for, since that takes training. Add --minutes 10, or --model MODEL with a "
    "recognizer that was trained on other pictures."
)


def inspect(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="A folder of class folders, or whatever else fit takes; several are checked together, also for copies "
            "between them.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write which pictures to leave out, and splits, as CSV (or .jsonl) for fit --manifest."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time for training recognizers that find label errors.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="A trained recognizer that finds label errors and outliers.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the proposed splits and of the training.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Look for what would spoil training: unreadable files, copies, odd pictures, outliers, label errors.

    Example: diptych inspect photos/ -o photos.html --manifest photos.csv

    The findings are printed; no picture is changed, moved or deleted. Label errors are searched for only with --minutes
    or --model.
    """
    from diptych.data.images import Images
    from diptych.data.inspection.inspect import concatenate_sets, examine
    from diptych.data.inspection.report import inspection_report
    from diptych.errors import UsageError

    if minutes is not None and model is not None:
        raise UsageError("Give either --minutes, to train recognizers, or --model, to use a trained one.")
    if manifest is not None and manifest.exists():
        raise UsageError(f"{manifest} already exists and may have been edited. Name another file with --manifest.")
    inspection = examine(concatenate_sets([Images.open(path) for path in data], data))
    inspection = _with_label_errors(inspection, minutes, model, seed)
    report = inspection_report(inspection)
    if json:
        console.print_json({**report.json(), "issues": inspection.records()})
    else:
        console.print_text(str(report))
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    if manifest is not None:
        from diptych.data.inspection.manifest import write

        write(inspection, manifest, seed)
        console.log.info("The manifest is in %s: edit it, then diptych fit ... --manifest %s", manifest, manifest)


def _with_label_errors(
    inspection: "Inspection[Images]", minutes: float | None, model: Path | None, seed: int
) -> "Inspection[Images]":
    """The inspection with suspected label errors and a model's outliers, or with a note on how to search for them."""
    images = inspection.images
    if minutes is None and model is None:
        return inspection.with_notes(LABELS_NOT_CHECKED) if images.classes else inspection
    from diptych.recognition.label_errors import find_label_errors

    if model is None:
        return inspection.with_label_issues(find_label_errors(images, minutes=minutes, seed=seed))
    import numpy as np

    from diptych.errors import UsageError
    from diptych.loading import load
    from diptych.recognition.recognizer import Recognizer

    recognizer = load(model)
    if not isinstance(recognizer, Recognizer):
        raise UsageError(f"{model} is not a recognizer, so it cannot check labels. Name the folder of a recognizer.")
    rows = np.flatnonzero(images.dimensions()[:, 0] > 0)
    rows = np.setdiff1d(rows, list(images.unreadable(recognizer.size_)))
    inspection = inspection.with_outliers(rows, recognizer.embed(images[rows]).numpy())
    return inspection.with_label_issues(find_label_errors(images, model=recognizer)) if images.classes else inspection


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Look for what would spoil training.")(inspect)
