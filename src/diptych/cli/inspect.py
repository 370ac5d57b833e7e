"""``diptych inspect``: check pictures before training on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Labels, Quiet

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.data.inspection.inspect import Inspection

LABELS_NOT_CHECKED = (
    "Label errors were not searched for, since that takes training where pictures are small, have several labels or no "
    "pretrained weights are on this machine. Add --minutes 10, or --model MODEL with a recognizer that was trained on "
    "other pictures."
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
        float | None,
        typer.Option(min=0.1, help="Time for training recognizers that find label errors; photographs do not need it."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="A trained recognizer that finds label errors and outliers.")
    ] = None,
    labels: Labels = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the proposed splits and of the training.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Look for what would spoil training: unreadable files, copies, odd pictures, outliers, label errors.

    Example: diptych inspect photos/ -o photos.html --manifest photos.csv

    The findings are printed; no picture is changed, moved or deleted. Photographs are compared by the features of the
    best pretrained backbone on this machine. For small pictures, label errors are searched for only with --minutes or
    --model.
    """
    from diptych.data.images import Images
    from diptych.data.inspection.inspect import concatenate_sets, examine
    from diptych.data.inspection.report import inspection_report
    from diptych.errors import UsageError
    from diptych.files import check_output_file

    if minutes is not None and model is not None:
        raise UsageError("Give either --minutes, to train recognizers, or --model, to use a trained one.")
    if manifest is not None and manifest.exists():
        raise UsageError(f"{manifest} already exists and may have been edited. Name another file with --manifest.")
    for target in (output, manifest):
        if target is not None:
            check_output_file(target)
    inspection = examine(concatenate_sets([Images.open(path, labels) for path in data], data))
    inspection = _with_features(inspection, minutes, model, seed)
    report = inspection_report(inspection)
    if report.verdict is not None and len(data) == 1:
        report.verdict = report.verdict.with_names(labels=labels, data=data[0])
    nothing_read = report.facts["unreadable"] == report.facts["pictures"]
    if json:
        console.print_json({**report.json(), "issues": inspection.records()})
    else:
        console.print_report(report, output)
        kind = "recognizer" if len(inspection.images.classes) > 1 else "flow"
        table = [] if manifest is None else ["--manifest", manifest]
        if not nothing_read:
            console.suggest("fit", kind, data[0], *console.labels_option(labels), *table)
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    if manifest is not None:
        from diptych.data.inspection.manifest import write

        write(inspection, manifest, seed)
        console.log.info("The manifest is in %s: edit it to decide about each picture", manifest)
    if nothing_read:
        raise typer.Exit(3)


def _with_features(
    inspection: "Inspection[Images]", minutes: float | None, model: Path | None, seed: int
) -> "Inspection[Images]":
    """The inspection with what a given model, a pretrained backbone or recognizers trained here find."""
    from diptych.recognition import label_errors
    from diptych.recognition.inspection import inspect_features

    images = inspection.images
    if model is not None:
        return _with_model(inspection, model)
    embedder = label_errors.backbone_for(images)
    if embedder is not None:
        inspection = inspect_features(inspection, embedder, seed, labels=minutes is None)
    if minutes is not None:
        search = label_errors.search_by_training(images, minutes, seed)
        return inspection.with_label_issues(search.issues, search.listed).with_notes(search.note)
    searched = embedder is not None and not images.multi_label
    return inspection if searched or not images.classes else inspection.with_notes(LABELS_NOT_CHECKED)


def _with_model(inspection: "Inspection[Images]", model: Path) -> "Inspection[Images]":
    """The inspection with the outliers and the label errors that a trained recognizer finds."""
    import numpy as np

    from diptych.errors import UsageError
    from diptych.loading import load
    from diptych.recognition import label_errors
    from diptych.recognition.recognizer import Recognizer

    images, recognizer = inspection.images, load(model)
    if not isinstance(recognizer, Recognizer):
        raise UsageError(f"{model} is not a recognizer, so it cannot check labels. Name the folder of a recognizer.")
    rows = np.flatnonzero(images.dimensions()[:, 0] > 0)
    rows = np.setdiff1d(rows, list(images.unreadable(recognizer.size_)))
    inspection = inspection.with_outliers(rows, recognizer.embed(images[rows]).numpy())
    if not images.classes:
        return inspection
    search = label_errors.search_by_model(images, recognizer)
    return inspection.with_label_issues(search.issues, search.listed).with_notes(search.note)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Look for what would spoil training.")(inspect)
