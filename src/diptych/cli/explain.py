"""``diptych explain``: show why a recognizer says what it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet
from diptych.errors import UsageError

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.recognition.recognizer import Recognizer

Row = dict[str, Any]
CHUNK = 64  # pictures explained at a time
NEIGHBOURS = 3  # training pictures named for each


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
    """Show why: heat over the picture where it speaks for a class, and the training pictures most like it.

    Example: diptych explain models/pets odd.jpg -o heat.png

    Each sheet shows the picture, the same in grey with what matters in colour, and below them the training pictures
    that the recognizer finds most alike, where their files are still in place.
    """
    from diptych.cli.paths import UnreadablePath, image_sets

    place = Place.of(paths, output)
    recognizer = load_model(model, "recognizer")
    good = bad = 0
    for some in image_sets(paths, CHUNK):
        rows = [{"path": some.path, "error": some.reason}] if isinstance(some, UnreadablePath) else explained(
            recognizer, some, label, place
        )  # fmt: skip
        for row in rows:
            good, bad = good + ("error" not in row), bad + ("error" in row)
            console.print_json(row) if json else console.print_text(_line(row))
    if bad:
        console.log.warning("%d of %d pictures could not be read.", bad, good + bad)
        raise typer.Exit(4 if good else 3)


class Place:
    """Where sheets go: to one file, or into a folder under the pictures' names."""

    def __init__(self, file: Path | None, folder: Path) -> None:
        self.file, self.folder = file, folder
        self.taken: set[str] = set()

    @classmethod
    def of(cls, paths: list[str], output: Path | None) -> "Place":
        """The place that the arguments name.

        Raises
        ------
        UsageError
            It is a file, but not for one picture, or not a .png.
        """
        from diptych.cli.paths import is_set

        one = len(paths) == 1 and Path(paths[0]).is_file() and not is_set(paths[0])
        if output is None:
            return cls(Path(f"{Path(paths[0]).stem}-explained.png") if one else None, Path("explained"))
        if output.is_dir() or not output.suffix:
            return cls(None, output)
        if not one:
            raise UsageError(f"{output} names a file, but several pictures are to be explained. Name a folder with -o.")
        if output.suffix.lower() != ".png":
            raise UsageError(f"Explanations are written as PNG, which {output} is not. Name a .png file, or a folder.")
        return cls(output, output.parent)

    def next(self, path: str) -> Path:
        """Where the sheet of this picture goes; no two go to one file.

        Raises
        ------
        UsageError
            It is the picture itself.
        """
        if self.file is not None:
            if self.file.exists() and Path(path).exists() and self.file.samefile(path):
                raise UsageError(f"{self.file} is the picture to be explained. Name another file with -o.")
            return self.file
        stem = name = Path(path.replace("#", "-")).stem or "picture"
        count = 1
        while name in self.taken:
            count += 1
            name = f"{stem}-{count}"
        self.taken.add(name)
        return self.folder / f"{name}-explained.png"


def explained(recognizer: "Recognizer", images: "Images", label: str | None, place: Place) -> Iterator[Row]:
    """Write a sheet for each picture; yields a row each, in order: an answer with its reasons, or why there is none."""
    import numpy as np

    from diptych.cli.predict import prediction_rows_of
    from diptych.files import write_bytes
    from diptych.recognition.explanation.nearest import read_picture
    from diptych.report.explanation_sheet import LEAST, SimilarPicture, explanation_sheet

    rows = [row for some in prediction_rows_of(recognizer, images) for row in some]
    good = np.flatnonzero(["error" not in row for row in rows])
    readable = images[good]
    maps = recognizer.explain(readable, label)
    near = recognizer.neighbours(readable, NEIGHBOURS) if recognizer.embedding_index_ else None
    place_of = {row: i for i, row in enumerate(good.tolist())}
    for number, row in enumerate(rows):
        i = place_of.get(number)
        if i is not None:
            row["explained"] = label or max(row["probabilities"], key=row["probabilities"].get)
            row["neighbours"] = [] if near is None else near.rows(i)
            row["sheet"] = str(place.next(row["path"]))
            likes = [
                SimilarPicture(
                    read_picture(like["path"], LEAST), like["path"], f"{like['label']} {like['similarity']:.2f}"
                )
                for like in row["neighbours"]
            ]
            drawn = explanation_sheet(
                readable.picture(i),
                maps[i].numpy(),
                answer=_answer(row),
                explained=f"what speaks for {row['explained']}",
                likes=likes,
            )
            write_bytes(Path(row["sheet"]), drawn)
        yield row


def _answer(row: Row) -> str:
    label = row["label"] if isinstance(row["label"], str) else ", ".join(row["label"]) or "none"
    doubt = " (unlike the training pictures)" if row["unknown"] else ""
    return f"{label} {row['confidence']:.0%}{doubt}"


def _line(row: Row) -> str:
    """A row for a person."""
    if "error" in row:
        return f"{row['path']}: {row['error']}"
    lines = [f"{row['path']}: {_answer(row)}; what speaks for {row['explained']}: {row['sheet']}"]
    lines += [f"  like {like['path']} ({like['label']}, {like['similarity']:.2f})" for like in row["neighbours"]]
    return "\n".join(lines)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Show why a recognizer says what it says.")(explain)
