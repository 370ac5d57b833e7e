"""Input and output of ``diptych edit``: the pictures that can be read, and the folder of the results."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from diptych import json_reader
from diptych.cli import console
from diptych.errors import DataError, UsageError
from diptych.files import is_occupied, refuse_other_files, write_bytes, write_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images

FilePath = Annotated[str, Meta(pattern=r"[^/\\.]$")]  # ends in the name of a file
RECORD, TABLE, GRID, PAGE = "edit.json", "metadata.csv", "grid.png", "report.html"


class InputPictures:
    """The pictures that the arguments name.

    Attributes
    ----------
    given
        All of them, with their labels if the argument is one data set.
    images
        Those that can be read.
    readable
        (N,) bool, over all pictures: which of them can be read.
    left_out
        Number of pictures that cannot be read; a warning names each.
    """

    def __init__(self, paths: Sequence[str], size: int) -> None:
        import numpy as np

        self.given: Images = open_pictures(paths)
        errors = self.given.unreadable(size, "crop")
        self.readable = np.ones(len(self.given), bool)
        self.readable[list(errors)] = False
        if not self.readable.any():
            raise DataError("; ".join(map(str, errors.values())) or "There is no picture to edit.")
        self.left_out = console.list_skipped(self.given, map(str, errors.values()))
        self.images: Images = self.given[self.readable]

    def pixels(self, size: int) -> "NDArray[np.uint8]":
        """(N, S, S, 3) uint8 of the readable pictures, as the model sees them."""
        return _pixels(self.images, size)


def open_pictures(paths: Sequence[str]) -> "Images":
    """Open pictures named one by one, or a single data set, which may have labels."""
    from diptych.data.images import Images

    if len(paths) == 1:
        return Images.open(paths[0])
    folders = [path for path in paths if Path(path).is_dir()]
    if folders:
        raise UsageError(f"{folders[0]} is a folder. Name one folder alone, or pictures one by one.")
    return Images.of_files(paths)


class OutputFolder:
    """The folder of the results: it holds nothing else, so that no other picture is ever overwritten.

    Raises
    ------
    UsageError
        The folder holds something that no edit wrote, or a picture that is to be edited.
    """

    def __init__(self, folder: Path, inputs: "Images", visible_label: bool) -> None:
        self.folder, self._visible_label = folder, visible_label
        self._written = _written_by_edit(folder / RECORD)
        if not self._written and is_occupied(folder):
            raise UsageError(f"{folder} is not empty. Name a new or an empty folder with -o.")
        refuse_other_files(folder, lambda path: path in self._written)
        here = folder.resolve()
        if any(here in Path(path).resolve().parents for path in inputs.paths.tolist()):
            raise UsageError(f"{folder} holds a picture that is to be edited. Name another folder with -o.")

    def write(
        self, edited: "Images", size: int, facts: dict[str, Any], extra_files: dict[str, bytes]
    ) -> dict[str, Any]:
        """Write the pictures, their metadata and the extra files; returns the record."""
        from diptych.data.provenance import generated_facts
        from diptych.data.writers import metadata_csv
        from diptych.report import figures

        for path in self._written - {self.folder / RECORD}:
            path.unlink(missing_ok=True)
        names = [f"{i:06d}.png" for i in range(len(edited))]
        rows = [{"path": str(self.folder / name), **_metadata(edited, i)} for i, name in enumerate(names)]
        record = {**facts, "folder": str(self.folder), "pictures": len(edited), "files": rows}
        # First: after a kill, the record says which of the files in the folder are the edit's.
        write_text(self.folder / RECORD, json.dumps({**record, "others": sorted(extra_files)}, indent=1))
        for i, (name, picture) in enumerate(zip(names, result_pixels(edited, size, self._visible_label), strict=True)):
            write_bytes(self.folder / name, figures.png(picture, generated_facts(edited, i)))
        for name, data in extra_files.items():
            write_bytes(self.folder / name, data)
        write_bytes(self.folder / TABLE, metadata_csv(edited, names).encode("utf-8", "surrogateescape"))
        return record


class EditedFile(Struct):
    """A result in ``edit.json``, as far as it is read here."""

    path: FilePath


class EditRecord(Struct):
    """``edit.json``, as far as it is read here."""

    files: list[EditedFile]
    others: list[FilePath]


def _written_by_edit(record: Path) -> set[Path]:
    """The files that an earlier edit wrote beside its record, and the record; empty if there is none.

    Raises
    ------
    UsageError
        The file is not such a record.
    """
    if not record.exists():
        return set()
    try:
        facts = json_reader.read(record, EditRecord)
    except DataError as error:
        raise UsageError(
            f"{str(error).rstrip('.')}: that is not what diptych edit writes. Name another folder with -o."
        ) from None
    names = [Path(path).name for path in (*(row.path for row in facts.files), *facts.others)]
    return {record.parent / name for name in (*names, RECORD, TABLE)}


def row_captions(edited: "Images", steps: int) -> list[str]:
    """What each row of a sheet comes from; a row has ``steps`` of the results."""
    sources = [" → ".join(Path(path).name for path in source.split(" + ")) for source in edited.groups["source"]]
    directions = edited.groups.get("direction")
    names = (
        sources if directions is None else [f"{s}, direction {d + 1}" for s, d in zip(sources, directions, strict=True)]
    )
    return names[::steps]


def result_pixels(edited: "Images", size: int, visible_label: bool) -> "NDArray[np.uint8]":
    """(N, S, S, 3) uint8 of the results; ``visible_label`` writes "AI-generated" into a corner of what is generated."""
    import numpy as np

    from diptych.data.provenance import generated_mask
    from diptych.report.visible_label import with_visible_label

    pixels = _pixels(edited, size)
    if not visible_label:
        return pixels
    generated = generated_mask(edited)
    return np.stack([with_visible_label(one) if new else one for one, new in zip(pixels, generated, strict=True)])


def _pixels(images: "Images", size: int) -> "NDArray[np.uint8]":
    pixels: NDArray[np.uint8] = images.pixels(size, "crop").permute(0, 2, 3, 1).numpy()
    return pixels


def _metadata(edited: "Images", i: int) -> dict[str, Any]:
    """Label, origin and groups of a picture, JSON-able."""
    label = int(edited.labels[i])
    metadata = {"label": edited.classes[label] if label >= 0 else None, "origin": str(edited.origins[i])}
    return {**metadata, **{name: column[i].item() for name, column in edited.groups.items()}}
