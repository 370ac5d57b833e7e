"""``diptych inspect``: look at pictures before training on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.data.inspection.inspect import Inspection

SLOW_CHECKS = (
    "Labels were not doubted: that takes training. Ask for it with --minutes 10, or with --model MODEL, a recognizer "
    "that was trained on other pictures."
)


def inspect(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="A folder of class folders, or whatever else fit takes; several are looked through together, for "
            "copies between them as well.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what to leave out, and splits, as CSV (or .jsonl) for fit --manifest."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time to train recognizers that look for wrong labels.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="A trained recognizer to look for wrong labels and outliers.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the proposed splits and of the training.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Look for what would spoil training: unreadable files, copies, odd pictures, outliers, wrong labels.

    Example: diptych inspect photos/ -o photos.html --manifest photos.csv

    The findings are printed; no picture is changed, moved or deleted. Wrong labels are looked for where there is
    --minutes or --model.
    """
    from diptych.data.images import Images
    from diptych.data.inspection.inspect import concatenate_sets, examine
    from diptych.data.inspection.report import inspection_report
    from diptych.errors import UsageError

    if minutes is not None and model is not None:
        raise UsageError("Give either --minutes, to train recognizers, or --model, to ask one that is trained.")
    if manifest is not None and manifest.exists():
        raise UsageError(f"{manifest} is there already, and may have been edited. Name another file with --manifest.")
    found = examine(concatenate_sets([Images.open(one) for one in data], data))
    found = _doubted(found, minutes, model, seed)
    report = inspection_report(found)
    if json:
        console.print_json({**report.json(), "issues": found.records()})
    else:
        console.print_text(str(report))
    if output is not None:
        report.save(output)
        console.log.info("The report is in %s", output)
    if manifest is not None:
        from diptych.data.inspection.manifest import write

        write(found, manifest, seed)
        console.log.info("The manifest is in %s: edit it, then diptych fit ... --manifest %s", manifest, manifest)


def _doubted(found: "Inspection[Images]", minutes: float | None, model: Path | None, seed: int) -> "Inspection[Images]":
    """The same with doubtful labels, and with a model's outliers; or with a word on how to have them."""
    images = found.images
    if minutes is None and model is None:
        return found.with_notes(SLOW_CHECKS) if images.classes else found
    from diptych.recognition.label_errors import find_label_errors

    if model is None:
        return found.with_label_issues(find_label_errors(images, minutes=minutes, seed=seed))
    import numpy as np

    from diptych.errors import UsageError
    from diptych.loading import load
    from diptych.recognition.recognizer import Recognizer

    known = load(model)
    if not isinstance(known, Recognizer):
        raise UsageError(f"{model} is no recognizer, so that it has nothing to say about labels.")
    rows = np.flatnonzero(images.dimensions()[:, 0] > 0)
    rows = np.setdiff1d(rows, list(images.unreadable(known.size_)))
    found = found.with_outliers(rows, known.embed(images[rows]).numpy())
    return found.with_label_issues(find_label_errors(images, model=known)) if images.classes else found


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Look for what would spoil training.")(inspect)
