"""``diptych explain``: show why a recognizer predicts what it predicts."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet
from diptych.errors import UsageError
from diptych.files import check_output_folder

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.recognition.explanation.nearest import NearestPictures
    from diptych.recognition.recognizer import Recognizer
    from diptych.report.explanation_sheet import SimilarPicture

Row = dict[str, Any]
CHUNK = 64  # pictures explained at a time
NEIGHBOURS = 3  # training pictures shown for each
LIKELIEST = 5  # classes whose probabilities are shown


def explain(
    model: Model,
    paths: Annotated[list[str], typer.Argument(metavar="PICTURE...", help="Pictures, folders of pictures, data sets.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="A .png file for one picture, a folder for several.  [default: <PICTURE>-explained.png or explained/]",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="What to explain.  [default: the most likely of each picture]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Explain predictions: a heatmap of the evidence for a class, and the most similar training pictures.

    Example: diptych explain models/pets odd.jpg -o explained.png

    Each sheet shows the picture, the same picture in grey with the evidence in colour, and below them the probability
    of the likeliest classes and the training pictures that are most similar, if their files are still there.
    """
    from diptych.cli.paths import UnreadablePath, image_sets, require_one
    from diptych.cli.predict import exit_if_unreadable

    sheets = SheetPaths.of(paths, output)
    check_output_folder(sheets.folder)
    require_one(paths)
    recognizer = load_model(model, "recognizer")
    total = failed = 0
    for images in image_sets(paths, CHUNK):
        rows = (
            iter([{"path": images.path, "error": images.reason}])
            if isinstance(images, UnreadablePath)
            else explanation_rows(recognizer, images, label, sheets)
        )
        for row in rows:
            total, failed = total + 1, failed + ("error" in row)
            console.print_json(row) if json else console.print_text(*_row_lines(row))
    if not json:
        console.suggest("evaluate", model, "TEST-PICTURES")
    exit_if_unreadable(failed, total)


class SheetPaths:
    """Where the sheets are written: to one file, or into a folder under the pictures' names."""

    def __init__(self, file: Path | None, folder: Path) -> None:
        self.file, self.folder = file, folder
        self.used_names: set[str] = set()

    @classmethod
    def of(cls, paths: list[str], output: Path | None) -> "SheetPaths":
        """The file or the folder that the arguments name.

        Raises
        ------
        UsageError
            It is a file, but there are several pictures, or it is not a .png.
        """
        from diptych.cli.paths import names_one_picture

        single = len(paths) == 1 and names_one_picture(paths[0])
        if output is None:
            return cls(Path(f"{Path(paths[0]).stem}-explained.png"), Path()) if single else cls(None, Path("explained"))
        if output.is_dir() or not output.suffix:
            return cls(None, output)
        if not single:
            raise UsageError(f"{output} is a file, but several pictures are to be explained. Name a folder with -o.")
        if output.suffix.lower() != ".png":
            raise UsageError(f"Explanations are written as PNG, not as {output.suffix}. Name a .png file or a folder.")
        return cls(output, output.parent)

    def path_for(self, path: str) -> Path:
        """The file for the sheet of this picture; each picture gets its own.

        Raises
        ------
        UsageError
            The file is the picture itself.
        """
        if self.file is not None:
            if self.file.exists() and Path(path).exists() and self.file.samefile(path):
                raise UsageError(f"{self.file} is the picture to be explained. Name another file with -o.")
            return self.file
        stem = name = Path(path.replace("#", "-")).stem or "picture"
        count = 1
        while name in self.used_names:
            count += 1
            name = f"{stem}-{count}"
        self.used_names.add(name)
        return self.folder / f"{name}-explained.png"


def explanation_rows(
    recognizer: "Recognizer", images: "Images", label: str | None, sheets: SheetPaths
) -> Iterator[Row]:
    """Write a sheet for each picture; yields a row each, in order: the explained prediction, or the error."""
    import numpy as np

    from diptych.cli.predict import prediction_rows_of
    from diptych.data.provenance import generated_facts, joint_facts
    from diptych.files import write_bytes
    from diptych.marks import mark_if
    from diptych.report.explanation_sheet import explanation_sheet

    rows = [row for batch in prediction_rows_of(recognizer, images) for row in batch]
    readable_rows = np.flatnonzero(["error" not in row for row in rows])
    readable = images[readable_rows]
    heatmaps = recognizer.explain(readable, label)
    nearest = recognizer.neighbours(readable, NEIGHBOURS) if recognizer.embedding_index_ else None
    readable_index = {row: i for i, row in enumerate(readable_rows.tolist())}
    for number, row in enumerate(rows):
        i = readable_index.get(number)
        if i is not None:
            row["explained"] = label or max(row["probabilities"], key=row["probabilities"].get)
            row["neighbours"] = [] if nearest is None else nearest.rows(i)
            row["sheet"] = str(sheets.path_for(row["path"]))
            sheet = explanation_sheet(
                readable.picture(i),
                heatmaps[i].numpy(),
                prediction=_prediction_text(row),
                explained=f"evidence for {row['explained']}",
                probabilities=_likeliest(row),
                neighbours=_similar_pictures(row, nearest, i),
            )
            facts = joint_facts([generated_facts(readable, i), None])  # the sheet is more than the picture
            write_bytes(Path(row["sheet"]), mark_if(sheet, facts))
        yield row


def _likeliest(row: Row) -> dict[str, float]:
    """The probabilities of the likeliest classes, the highest first, and of the explained one."""
    ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
    return dict([*ranked[:LIKELIEST], *(item for item in ranked[LIKELIEST:] if item[0] == row["explained"])])


def _similar_pictures(row: Row, nearest: "NearestPictures | None", i: int) -> "list[SimilarPicture]":
    """The neighbours of a row as the sheet shows them; without pixels where the file is no longer the same."""
    from diptych.report.explanation_sheet import MIN_SIDE_PIXELS, SimilarPicture

    similar = [] if nearest is None else nearest.pixels(i, MIN_SIDE_PIXELS)
    return [
        SimilarPicture(
            pixels,
            neighbour["path"],
            f"{neighbour['label']}, similarity {neighbour['similarity']:.2f}",
        )
        for pixels, neighbour in zip(similar, row["neighbours"], strict=True)
    ]


def _prediction_text(row: Row) -> str:
    label = row["label"] if isinstance(row["label"], str) else ", ".join(row["label"]) or "none"
    note = " (unlike the training pictures)" if row["unknown"] else ""
    return f"{label} {row['confidence']:.0%}{note}"


def _row_lines(row: Row) -> list[str]:
    """A row as lines of text: the prediction and the sheet, then a line for each neighbour."""
    if "error" in row:
        return [f"{row['path']}: {row['error']}"]
    lines = [f"{row['path']}: {_prediction_text(row)}; evidence for {row['explained']}: {row['sheet']}"]
    return lines + [
        f"  similar: {neighbour['path']} ({neighbour['label']}, {neighbour['similarity']:.2f})"
        for neighbour in row["neighbours"]
    ]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Explain the predictions of a recognizer.")(explain)
