"""What ``diptych edit`` takes and leaves: pictures that can be read, and a folder with what was made of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych.cli import console
from diptych.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images

RECORD, TABLE, GRID = "edit.json", "metadata.csv", "grid.png"
A_LINE = 8  # pictures beside each other on the sheet
ON_SHEET = 64  # more cannot be looked at


class InputPictures:
    """The pictures that the arguments name.

    Attributes
    ----------
    images
        Those that can be read, with their labels if the argument is one data set.
    kept
        (N,) bool: which of all of them these are.
    left_out
        How many cannot be read; each has been named.
    """

    def __init__(self, paths: Sequence[str], size: int) -> None:
        import numpy as np

        images = open_pictures(paths)
        errors = images.unreadable(size, "crop")
        self.kept = np.ones(len(images), bool)
        self.kept[list(errors)] = False
        if not self.kept.any():
            raise DataError("; ".join(map(str, errors.values())) or "There is no picture to work on.")
        self.left_out = console.list_skipped(images, map(str, errors.values()))
        self.images: Images = images[self.kept]

    def pixels(self, size: int) -> "NDArray[np.uint8]":
        """(N, S, S, 3) as the model sees them."""
        return _pixels(self.images, size)


def open_pictures(paths: Sequence[str]) -> "Images":
    """Pictures named one by one, or the one data set that is named, which may have labels."""
    from diptych.data.images import Images

    if len(paths) == 1:
        return Images.open(paths[0])
    folders = [path for path in paths if Path(path).is_dir()]
    if folders:
        raise UsageError(f"{folders[0]} is a folder. Name one folder alone, or pictures one by one.")
    return Images.of_files(paths)


class OutputFolder:
    """A folder of made pictures: it holds nothing else, so that no picture of anybody's is ever written over.

    Raises
    ------
    UsageError
        The folder holds something that no edit wrote, or a picture that is to be edited.
    """

    def __init__(self, folder: Path, inputs: "Images") -> None:
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file. Name a folder with -o.")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).is_file():
            raise UsageError(f"{folder} holds something already. Name a new or an empty folder with -o.")
        here = folder.resolve()
        if any(here in Path(path).resolve().parents for path in inputs.paths.tolist()):
            raise UsageError(f"{folder} holds a picture that is to be edited. Name another folder with -o.")

    def write(self, made: "Images", size: int, about: dict[str, Any], others: dict[str, bytes]) -> dict[str, Any]:
        """Write the pictures, what is known of them, and the other files; returns the record."""
        from diptych.data.writers import metadata_csv
        from diptych.files import write_bytes, write_text
        from diptych.report import figures

        self._clear()
        names = [f"{i:06d}.png" for i in range(len(made))]
        for name, picture in zip(names, _pixels(made, size), strict=True):
            write_bytes(self.folder / name, figures.png(picture))
        for name, data in others.items():
            write_bytes(self.folder / name, data)
        write_bytes(self.folder / TABLE, metadata_csv(made, names).encode("utf-8", "surrogateescape"))
        rows = [{"path": str(self.folder / name), **_about(made, i)} for i, name in enumerate(names)]
        record = {**about, "folder": str(self.folder), "pictures": len(made), "files": rows}
        write_text(self.folder / RECORD, json.dumps({**record, "others": sorted(others)}, indent=1))
        return record

    def _clear(self) -> None:
        """Take away what an earlier edit left."""
        if not (self.folder / RECORD).is_file():
            return
        earlier = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        for name in [Path(row["path"]).name for row in earlier["files"]] + earlier["others"]:
            (self.folder / Path(name).name).unlink(missing_ok=True)


def sheet(*lines: "NDArray[np.uint8]", columns: int = A_LINE) -> bytes:
    """Sets of (N, S, S, 3) pictures as a PNG, each picture of a set under that of the set before."""
    import numpy as np

    from diptych.report import figures

    shown = []
    for start in range(0, min(len(lines[0]), ON_SHEET if len(lines) > 1 else len(lines[0])), columns):
        for line in lines:
            some = line[start : start + columns]
            if len(lines[0]) > columns and len(some) < columns:  # an empty place keeps the lines below each other
                some = np.concatenate([some, np.full((columns - len(some), *some.shape[1:]), 255, np.uint8)])
            shown.append(some)
    return figures.grid(np.concatenate(shown), min(columns, len(lines[0])))


def _pixels(images: "Images", size: int) -> "NDArray[np.uint8]":
    pixels: NDArray[np.uint8] = images.pixels(size, "crop").permute(0, 2, 3, 1).numpy()
    return pixels


def _about(made: "Images", i: int) -> dict[str, Any]:
    """What is known of a picture, JSON-able."""
    label = int(made.labels[i])
    told = {"label": made.classes[label] if label >= 0 else None, "origin": str(made.origins[i])}
    return {**told, **{name: column[i].item() for name, column in made.groups.items()}}
