"""Writes samples to disk as they are generated: in bounded memory, and a killed run continues where it was.

::

    out/
      sample.json       the request; a folder belongs to one
      metadata.csv      file, label and origin of every picture
      000000.png, …     in class folders where the classes vary
      grid.png          the first of them on one sheet; written last
"""

import csv
import io
import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from PIL import Image

from diptych import files, json_reader
from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.data.resources import worker_count
from diptych.data.writers import class_folder
from diptych.engine import machine
from diptych.errors import UsageError
from diptych.marks import Generated
from diptych.opening import open_file, read_file
from diptych.progress import Bar, only_warnings
from diptych.report import figures
from diptych.report.visible_label import can_be_labelled, too_small, with_visible_label
from diptych.synthesis.protocols import Label, SampledModel
from diptych.synthesis.sampling import seeding

log = logging.getLogger("diptych")
BLOCK = 256  # pictures generated at a time at most: whole batches on every device
BLOCK_SECONDS = 2.0  # that a block takes, so that pictures appear soon, and the most that a kill costs
MAX_GRID_PICTURES = 400  # more cannot be looked at on one sheet
REQUEST_FILE, TABLE_FILE, GRID_FILE = "sample.json", "metadata.csv", "grid.png"
SINGLE_FILES = (".npz", ".parquet")  # besides folders
_TABLE_HEADER = "file_name,label,origin\r\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_DRAFTS = ".*.draft"


@dataclass(frozen=True)
class SampleRequest:
    """The pictures to sample from a model, and their paths in a folder.

    Attributes
    ----------
    model
        Fitted.
    number, label, seed
        As in :meth:`Synthesizer.sample`.
    folder
        That the pictures are written to.
    visible_label
        Whether "AI-generated" is written into a corner of each.
    """

    model: SampledModel
    number: int
    label: Label | None
    seed: int
    folder: Path
    visible_label: bool

    def facts(self) -> dict[str, Any]:
        """The identity of the request, whatever its number; JSON-able."""
        model = self.model
        return {
            "kind": model.kind,
            "weights_sha256": model.generated_facts().weights_sha256,
            "parameters": model.parameters(),
            "shares": model.shares_,
            "label": None if self.label is None else model.classes_[model.class_number(self.label)],
            "seed": self.seed,
            "visible_label": self.visible_label or None,
        }

    def seeds(self, rows: Sequence[int]) -> list[int]:
        """Of the pictures of these numbers."""
        return [self.seed + row for row in rows]

    def labels(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Of the pictures of these numbers."""
        return self.model.sample_labels(self.seeds(rows), self.label)

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """Of the pictures of these numbers."""
        if self.label is not None or not self.model.classes_:
            return [self.folder / f"{row:06d}.png" for row in rows]
        names = [class_folder(name) for name in self.model.classes_]
        labels = self.labels(rows)
        return [self.folder / names[label] / f"{row:06d}.png" for row, label in zip(rows, labels, strict=True)]

    def marks(self, rows: Sequence[int]) -> list[Generated]:
        """What the pictures of these numbers are marked with."""
        facts, classes = self.model.generated_facts(), self.model.classes_
        return [
            replace(facts, settings={"seed": seed, **({"label": classes[label]} if classes else {})})
            for seed, label in zip(self.seeds(rows), self.labels(rows), strict=True)
        ]

    def wrote(self, path: Path) -> bool:
        """Whether a file in the folder is one that this request writes."""
        if path.parent == self.folder and path.name in (REQUEST_FILE, TABLE_FILE, GRID_FILE):
            return True
        number = int(path.stem) if path.stem.isdecimal() and path.stem.isascii() else self.number
        return number < self.number and self.paths([number]) == [path]

    def table_rows(self, rows: Sequence[int]) -> str:
        """What the table says of the pictures of these numbers: file, label and origin, which is synthetic."""
        classes, out = self.model.classes_, io.StringIO()
        table = csv.writer(out)
        for path, label in zip(self.paths(rows), self.labels(rows), strict=True):
            name = path.relative_to(self.folder).as_posix()
            table.writerow([name, classes[label] if classes else "", "synthetic"])
        return out.getvalue()


def write_samples(
    model: SampledModel, number: int, label: Label | None, seed: int, path: Path, *, visible_label: bool = False
) -> Images:
    """Write samples into a folder, an .npz or a .parquet; see :meth:`Synthesizer.sample`.

    Raises
    ------
    UsageError
        The folder holds something else, or the pictures of another request.
    """
    if visible_label and not can_be_labelled(model.size_, model.size_):
        log.warning(too_small(model.size_))
        visible_label = False
    if path.suffix.lower() not in SINGLE_FILES:
        return _write_folder(SampleRequest(model, number, label, seed, path, visible_label))[:number]
    parts = path.with_name(f"{path.name}.parts")
    images = _write_folder(SampleRequest(model, number, label, seed, parts, visible_label))[:number]
    images.save(path)
    (parts / GRID_FILE).replace(path.with_suffix(".grid.png"))
    files.remove_folder(parts)  # in one step: half of it would be refused as somebody else's
    return _opened(path)


def _opened(path: Path) -> Images:
    """The pictures that were written; nobody needs to be told how they are labelled."""
    with only_warnings():
        return Images.open(path)


def grid_path(path: Path) -> Path:
    """The sheet of the samples that were written into ``path``."""
    return path.with_suffix(".grid.png") if path.suffix.lower() in SINGLE_FILES else path / GRID_FILE


def _write_folder(request: SampleRequest) -> Images:
    """Write the pictures that the folder does not hold yet."""
    request = _claim_folder(request)
    present, start, pace = 0, 0, Pace(seeding.chunk_size(request.model.size_, machine.device()))
    table = _Table(request)
    with Bar("Sampling", request.number) as bar, ThreadPoolExecutor(worker_count()) as pool:
        while start < request.number:
            rows = range(start, min(start + pace.block, request.number))
            paths = request.paths(rows)
            missing = [i for i, whole in enumerate(pool.map(_is_whole, paths)) if not whole]
            present += len(rows) - len(missing)
            bar.skip(len(rows) - len(missing))
            table.add(rows)  # first: whatever a kill leaves is marked as synthetic
            if missing:
                with pace.timing(len(missing)):
                    _write_pictures(request, [rows[i] for i in missing], [paths[i] for i in missing], pool, bar)
            start = rows.stop
    if present:
        log.info("%s of the %s were there already", f"{present:,}", counted(request.number, "picture"))
    first = request.paths(range(min(request.number, MAX_GRID_PICTURES)))
    pixels = np.stack([np.asarray(Image.open(path)) for path in first])
    files.write_bytes(request.folder / GRID_FILE, figures.grid(pixels, generated=request.model.generated_facts()))
    return _opened(request.folder)


def _write_pictures(
    request: SampleRequest, rows: list[int], paths: list[Path], pool: ThreadPoolExecutor, bar: Bar
) -> None:
    pixels = request.model.sample_pixels(request.seeds(rows), request.labels(rows), bar)

    def write(picture: NDArray[np.uint8], path: Path, facts: Generated) -> None:
        picture = with_visible_label(picture) if request.visible_label else picture
        # Unsynced: thousands of waits for the disk; a picture that a power cut broke is detected and written again.
        files.write_bytes(path, figures.png(picture, facts), synced=False)

    list(pool.map(write, pixels.permute(0, 2, 3, 1).numpy(), paths, request.marks(rows)))


def _claim_folder(request: SampleRequest) -> SampleRequest:
    """Mark the folder as this request's; a number smaller than that of the pictures it holds becomes theirs."""
    record, facts = request.folder / REQUEST_FILE, request.facts()
    if record.exists():
        earlier = _read_record(record)
        _refuse_another_request(request.folder, earlier, json.loads(json.dumps(facts)))
        largest = replace(request, number=max(request.number, earlier["number"]))
        files.refuse_other_files(request.folder, largest.wrote)
        request = replace(request, number=max(request.number, _last_number(request.folder)))
    elif files.is_occupied(request.folder):
        raise UsageError(f"{request.folder} holds something already; give a new or an empty folder.")
    for draft in request.folder.rglob(_DRAFTS):  # of a run that was killed
        draft.unlink()
    files.write_text(record, json.dumps({**facts, "number": request.number}, indent=1, ensure_ascii=False) + "\n")
    return request


def _last_number(folder: Path) -> int:
    """How many pictures of the request the folder holds, including the gaps that a kill has left."""
    return max((int(path.stem) + 1 for path in folder.rglob("[0-9]*.png")), default=0)


class SampleRecord(Struct):
    """``sample.json``, as far as it is read here."""

    number: Annotated[int, Meta(ge=0)]


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json_reader.read(path, dict[str, Any])
        json_reader.convert(record, SampleRecord)
    except json_reader.JSONError as error:
        raise UsageError(
            f"{path} is not what diptych sample writes ({error.reason}). Name a new or an empty folder."
        ) from None
    return record


def _refuse_another_request(folder: Path, earlier: dict[str, Any], facts: dict[str, Any]) -> None:
    differing = [name for name in facts if earlier.get(name) != facts[name]]
    if not differing:
        return
    named = [name for name in differing if name in ("label", "seed", "visible_label")]
    readable = [f"{name} {earlier.get(name)} there, {facts[name]} here" for name in named]
    reason = ", ".join(readable or ["of another model"])
    raise UsageError(
        f"{folder} holds pictures of another request ({reason}). Choose another folder, or delete that one."
    )


class Pace:
    """How many pictures are generated at a time: one batch at first, then as many as take some seconds.

    Parameters
    ----------
    batch
        Pictures that the network is run on together; a block is a number of whole batches.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.block = min(batch, BLOCK)

    @contextmanager
    def timing(self, pictures: int) -> Iterator[None]:
        """Adapt the size of the next block to the time that the block within takes for so many pictures."""
        start = time.monotonic()
        yield
        seconds = max(time.monotonic() - start, 1e-6)
        batches = int(BLOCK_SECONDS * pictures / seconds / self._batch)
        self.block = min(max(1, batches) * self._batch, BLOCK)


class _Table:
    """The table of a folder, which grows a block ahead of its pictures: that of millions would take minutes.

    Rows that an earlier run has written stay, if the last of them is what it should be.
    """

    def __init__(self, request: SampleRequest) -> None:
        self._request, self._path = request, request.folder / TABLE_FILE
        self._rows = self._rows_there()
        if not self._rows:
            files.write_text(self._path, _TABLE_HEADER)

    def add(self, rows: range) -> None:
        """Write the rows of these pictures, unless they are there."""
        missing = range(max(rows.start, self._rows), rows.stop)
        if missing:
            with self._path.open("ab") as file:
                file.write(files.encoded(self._request.table_rows(missing)))
            self._rows = rows.stop

    def _rows_there(self) -> int:
        """How many rows there are; what a kill has left of the last one is cut off."""
        try:
            content = read_file(self._path)
        except OSError:
            return 0
        whole = content[: content.rfind(b"\n") + 1]
        number = whole.count(b"\n") - 1
        if not 1 <= number <= self._request.number or not whole.startswith(_TABLE_HEADER.encode()):
            return 0
        if not whole.endswith(b"\n" + files.encoded(self._request.table_rows([number - 1]))):
            return 0
        if whole != content:
            files.write_bytes(self._path, whole)
        return number


def _is_whole(path: Path) -> bool:
    """Whether the picture is there to its last byte."""
    try:
        with open_file(path) as file:
            file.seek(-len(_PNG_END), io.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False
