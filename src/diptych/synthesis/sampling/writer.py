"""Writes samples to disk as they are generated: in bounded memory, and a killed run continues where it was.

::

    out/
      sample.json       the request; a folder belongs to one
      metadata.csv      file, label and origin of every picture
      000000.png, …     in class folders where the classes vary
      grid.png          the first of them on one sheet; written last
"""

import csv
import hashlib
import io
import json
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych import artefact, files
from diptych.data.images import Images
from diptych.data.resources import worker_count
from diptych.errors import UsageError
from diptych.progress import Bar
from diptych.report import figures
from diptych.synthesis.protocols import Label, SampledModel

log = logging.getLogger("diptych")
BLOCK = 256  # pictures generated at a time: whole batches on every device, and the most that a kill costs
MAX_GRID_PICTURES = 400  # more cannot be looked at on one sheet
REQUEST_FILE, TABLE_FILE, GRID_FILE = "sample.json", "metadata.csv", "grid.png"
SINGLE_FILES = (".npz", ".parquet")  # besides folders
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
    """

    model: SampledModel
    number: int
    label: Label | None
    seed: int
    folder: Path

    def facts(self) -> dict[str, Any]:
        """The identity of the request, whatever its number; JSON-able."""
        model = self.model
        return {
            "kind": model.kind,
            "weights_sha256": hashlib.sha256(artefact.pack(model.weights())).hexdigest(),
            "parameters": model.parameters(),
            "shares": model.shares_,
            "label": None if self.label is None else model.classes_[model.class_number(self.label)],
            "seed": self.seed,
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
        names = [_folder_name(name) for name in self.model.classes_]
        labels = self.labels(rows)
        return [self.folder / names[label] / f"{row:06d}.png" for row, label in zip(rows, labels, strict=True)]

    def wrote(self, path: Path) -> bool:
        """Whether a file in the folder is one that this request writes."""
        if path.parent == self.folder and path.name in (REQUEST_FILE, TABLE_FILE, GRID_FILE):
            return True
        number = int(path.stem) if path.stem.isdecimal() and path.stem.isascii() else self.number
        return number < self.number and self.paths([number]) == [path]

    def blocks(self) -> Iterator[range]:
        """All numbers, some hundreds at a time."""
        for start in range(0, self.number, BLOCK):
            yield range(start, min(start + BLOCK, self.number))


def write_samples(model: SampledModel, number: int, label: Label | None, seed: int, path: Path) -> Images:
    """Write samples into a folder, an .npz or a .parquet; see :meth:`Synthesizer.sample`.

    Raises
    ------
    UsageError
        The folder holds something else, or the pictures of another request.
    """
    if path.suffix.lower() not in SINGLE_FILES:
        return _write_folder(SampleRequest(model, number, label, seed, path))[:number]
    parts = path.with_name(f"{path.name}.parts")
    images = _write_folder(SampleRequest(model, number, label, seed, parts))[:number]
    images.save(path)
    (parts / GRID_FILE).replace(path.with_suffix(".grid.png"))
    shutil.rmtree(parts)
    return Images.open(path)


def grid_path(path: Path) -> Path:
    """The sheet of the samples that were written into ``path``."""
    return path.with_suffix(".grid.png") if path.suffix.lower() in SINGLE_FILES else path / GRID_FILE


def _write_folder(request: SampleRequest) -> Images:
    """Write the pictures that the folder does not hold yet."""
    request = _claim_folder(request)
    present = 0
    with Bar("Sampling", request.number) as bar, ThreadPoolExecutor(worker_count()) as pool:
        for rows in request.blocks():
            paths = request.paths(rows)
            missing = [i for i, whole in enumerate(pool.map(_is_whole, paths)) if not whole]
            present += len(rows) - len(missing)
            bar.advance(len(rows) - len(missing))
            if missing:
                _write_pictures(request, [rows[i] for i in missing], [paths[i] for i in missing], pool, bar)
    if present:
        log.info("%d of the %d pictures were there already", present, request.number)
    first = request.paths(range(min(request.number, MAX_GRID_PICTURES)))
    files.write_bytes(
        request.folder / GRID_FILE, figures.grid(np.stack([np.asarray(Image.open(path)) for path in first]))
    )
    return Images.open(request.folder)


def _write_pictures(
    request: SampleRequest, rows: list[int], paths: list[Path], pool: ThreadPoolExecutor, bar: Bar
) -> None:
    pixels = request.model.sample_pixels(request.seeds(rows), request.labels(rows), bar)

    def write(picture: NDArray[np.uint8], path: Path) -> None:
        # Unsynced: thousands of waits for the disk; a picture that a power cut broke is detected and written again.
        files.write_bytes(path, figures.png(picture), synced=False)

    list(pool.map(write, pixels.permute(0, 2, 3, 1).numpy(), paths))


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
    files.write_text(request.folder / TABLE_FILE, _table(request))
    return request


def _last_number(folder: Path) -> int:
    """How many pictures of the request the folder holds, including the gaps that a kill has left."""
    return max((int(path.stem) + 1 for path in folder.rglob("[0-9]*.png")), default=0)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict) or type(record.get("number")) is not int:
        raise UsageError(f"{path} is not what diptych sample writes. Name a new or an empty folder.")
    return record


def _refuse_another_request(folder: Path, earlier: dict[str, Any], facts: dict[str, Any]) -> None:
    differing = [name for name in facts if earlier.get(name) != facts[name]]
    if not differing:
        return
    readable = [
        f"{name} {earlier.get(name)} there, {facts[name]} here" for name in differing if name in ("label", "seed")
    ]
    reason = ", ".join(readable or ["of another model"])
    raise UsageError(
        f"{folder} holds pictures of another request ({reason}). Choose another folder, or delete that one."
    )


def _table(request: SampleRequest) -> str:
    """A row a picture: it marks them as synthetic, and the sheet as none of them."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["file_name", "label", "origin"])
    classes = request.model.classes_
    for block in request.blocks():
        for path, label in zip(request.paths(block), request.labels(block), strict=True):
            name = path.relative_to(request.folder).as_posix()
            rows.writerow([name, classes[label] if classes else "", "synthetic"])
    return out.getvalue()


def _is_whole(path: Path) -> bool:
    """Whether the picture is there to its last byte."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), io.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False


def _folder_name(name: str) -> str:
    """A class's name as that of a folder."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name).strip(" .") or "_"
