"""``diptych predict``: say what is on pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import load_predictor
from diptych.cli.options import SETTINGS, Config, Json, Quiet
from diptych.cli.paths import UnreadablePath, image_sets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images
    from diptych.exporting.portable import Portable
    from diptych.recognition.predictions import Predictions
    from diptych.recognition.recognizer import Recognizer

Row = dict[str, Any]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a recognizer, or its .onnx file.")],
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders of pictures (walked in sorted order), data sets."),
    ],
    json: Json = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the answers as CSV.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to a file: .csv, .jsonl or .tsv by its suffix."),
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what is on pictures, with how sure the recognizer is.

    Example: diptych predict models/pets new/*.jpg --json

    Answers are printed in the order given: a table on a terminal, else tab-separated (path, label, confidence)
    or JSON lines. A file that cannot be read gets a row with the reason; the exit code is then 4, or 3 if none
    could be read.
    """
    from diptych.cli.prediction_rows import RowWriter

    rows = RowWriter(as_json=json, file=output, csv_file=csv)
    recognizer = load_predictor(model)
    good = bad = 0
    for some in image_sets(paths):
        known = (
            iter([[{"path": some.path, "error": some.reason}]])
            if isinstance(some, UnreadablePath)
            else prediction_rows_of(recognizer, some)
        )
        for answers in known:
            rows.add(answers)
            failed = sum("error" in answer for answer in answers)
            good, bad = good + len(answers) - failed, bad + failed
    rows.close()
    if bad:
        console.log.warning("%d of %d pictures could not be read.", bad, good + bad)
        raise typer.Exit(4 if good else 3)


def prediction_rows_of(recognizer: "Recognizer | Portable", images: "Images") -> Iterator[list[Row]]:
    """A row for each picture, in order, some at a time: an answer, or why there is none."""
    start = 0
    for answers in recognizer.predict_batches(images):
        paths = images.paths[start : start + len(answers)].tolist()
        yield [_row(answers, i, path) for i, path in enumerate(paths)]
        start += len(answers)


def _row(answers: "Predictions", i: int, path: str) -> Row:
    if i in answers.errors:
        return {"path": path, "error": answers.errors[i].reason}
    several = answers.labels.ndim == 2
    chances = [round(chance, 6) for chance in answers.probabilities[i].tolist()]
    row = {
        "path": path,
        "label": _names(answers, answers.labels[i]) if several else answers.names[i],
        "confidence": round(float(answers.confidence[i]), 6),
        "probabilities": dict(zip(answers.classes, chances, strict=True)),
        "unknown": bool(answers.unknown[i]),
    }
    return row if answers.sets is None else {**row, "set": _names(answers, answers.sets[i])}


def _names(answers: "Predictions", has: "NDArray[np.bool_]") -> list[str]:
    return [answers.classes[k] for k in has.nonzero()[0].tolist()]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(predict)
