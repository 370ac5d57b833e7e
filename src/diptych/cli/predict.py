"""``diptych predict``: predict the labels of pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.cluster import on_cluster
from diptych.cli.models import load_predictor
from diptych.cli.options import SETTINGS, Config, Json, On, Quiet
from diptych.cli.paths import UnreadablePath, image_sets, require_one
from diptych.data.messages import counted

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.exporting.portable import Portable
    from diptych.recognition.recognizer import Recognizer

Row = dict[str, Any]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a recognizer, or its .onnx file.")],
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders of pictures (walked in sorted order), data sets."),
    ],
    json: Json = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the predictions as CSV.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to a file: .csv, .jsonl or .tsv, by its suffix."),
    ] = None,
    on: On = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Predict the labels of pictures, each with its confidence.

    Example: diptych predict models/pets new/*.jpg --json

    Predictions are printed in the order of the paths, under a header: path, label, confidence, and a note where a
    picture is unknown, other labels are likely too, or a file cannot be read; the exit code is then 4, or 3 if none
    could be read. They are aligned on a terminal and else separated by tabs; --json prints JSON lines.
    """
    from diptych.cli.prediction_rows import RowWriter

    writer = RowWriter(as_json=json, file=output, csv_file=csv)
    require_one(paths)
    recognizer = load_predictor(model, "recognizer")
    total = failed = 0
    doubtful: list[Row] = []  # the prediction of the lowest confidence
    with on_cluster(on):
        for rows in _batches(recognizer, paths):
            writer.add(rows)
            total, failed = total + len(rows), failed + sum("error" in row for row in rows)
            doubtful = sorted([*doubtful, *(row for row in rows if "error" not in row)], key=_confidence)[:1]
        writer.close()
    if doubtful and not json:
        _suggest(model, doubtful[0]["path"])
    exit_if_unreadable(failed, total)


def _batches(recognizer: "Recognizer | Portable", paths: list[str]) -> Iterator[list[Row]]:
    for images in image_sets(paths):
        if isinstance(images, UnreadablePath):
            yield [{"path": images.path, "error": images.reason}]
        else:
            yield from prediction_rows_of(recognizer, images)


def exit_if_unreadable(failed: int, total: int) -> None:
    """Warn of pictures that could not be read, and exit with 4, or with 3 if no picture could be."""
    if failed:
        console.log.warning("%s of %s could not be read.", f"{failed:,}", counted(total, "picture"))
        raise typer.Exit(4 if failed < total else 3)


def _suggest(model: Path, doubtful: str) -> None:
    """Propose to look at the most doubtful prediction; an exported file cannot explain."""
    if model.suffix.lower() == ".onnx" or not Path(doubtful).is_file():
        console.suggest("evaluate", model, "TEST-PICTURES")
    else:
        console.suggest("explain", model, doubtful)


def _confidence(row: Row) -> float:
    return float(row["confidence"])


def prediction_rows_of(recognizer: "Recognizer | Portable", images: "Images") -> Iterator[list[Row]]:
    """A row for each picture, in order and in batches: the prediction, or why there is none."""
    return (predictions.json_rows() for predictions in recognizer.predict_batches(images))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(predict)
