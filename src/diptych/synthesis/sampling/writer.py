"""Made pictures to disk as they are made: bounded memory, and a killed run continues where it was.

::

    out/
      sample.json       what was asked for; a folder belongs to one request
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych import artefact
from diptych.data.images import Images
from diptych.data.resources import workers
from diptych.errors import UsageError
from diptych.files import is_occupied, write_bytes, write_text
from diptych.progress import Bar
from diptych.report import figures
from diptych.synthesis.model import Label, SynthesisModel

log = logging.getLogger("diptych")
BLOCK = 256  # pictures made at a time: whole batches on every device, and the most that a kill costs
IN_GRID = 400  # more cannot be looked at on one sheet
RECORD, TABLE, GRID = "sample.json", "metadata.csv", "grid.png"
FILES = (".npz", ".parquet")  # besides folders
_END = b"\0\0\0\0IEND\xaeB`\x82"  # of every PNG
_DRAFT = ".*.draft"


@dataclass(frozen=True)
class SampleRequest:
    """The pictures that a request asks a model for, and their places in a folder.

    Attributes
    ----------
    model
        Fitted.
    number, label, seed
        As in :meth:`Synthesizer.sample`.
    folder
        Where they go.
    """

    model: SynthesisModel
    number: int
    label: Label | None
    seed: int
    folder: Path

    def facts(self) -> dict[str, Any]:
        """What tells this request from others, whatever its number; JSON-able."""
        model = self.model
        weights = {f"{name}.{k}": t for name, m in model.modules_.items() for k, t in m.state_dict().items()}
        return {
            "kind": model.kind,
            "weights_sha256": hashlib.sha256(artefact.pack(weights)).hexdigest(),
            "parameters": model._parameters(),
            "shares": model.shares_,
            "label": None if self.label is None else model.classes_[model._number(self.label)],
            "seed": self.seed,
        }

    def labels(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Of the pictures of these numbers."""
        return self.model._labels([self.seed + row for row in rows], self.label)

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """Where the pictures of these numbers go."""
        if self.label is not None or not self.model.classes_:
            return [self.folder / f"{row:06d}.png" for row in rows]
        names = [_folder_name(name) for name in self.model.classes_]
        labels = self.labels(rows)
        return [self.folder / names[label] / f"{row:06d}.png" for row, label in zip(rows, labels, strict=True)]

    def blocks(self) -> Iterator[range]:
        """All numbers, some hundreds at a time."""
        for start in range(0, self.number, BLOCK):
            yield range(start, min(start + BLOCK, self.number))


def write_samples(model: SynthesisModel, number: int, label: Label | None, seed: int, place: Path) -> Images:
    """Make pictures into a folder, an .npz or a .parquet; see :meth:`Synthesizer.sample`.

    Raises
    ------
    UsageError
        The folder holds something else, or the pictures of another request.
    """
    if place.suffix.lower() not in FILES:
        return _into_folder(SampleRequest(model, number, label, seed, place))[:number]
    parts = place.with_name(f"{place.name}.parts")
    made = _into_folder(SampleRequest(model, number, label, seed, parts))[:number]
    made.save(place)
    (parts / GRID).replace(place.with_suffix(".grid.png"))
    shutil.rmtree(parts)
    return Images.open(place)


def grid_path(place: Path) -> Path:
    """The sheet of the pictures that were made into ``place``."""
    return place.with_suffix(".grid.png") if place.suffix.lower() in FILES else place / GRID


def _into_folder(series: SampleRequest) -> Images:
    """Make what is not there yet."""
    series = _claimed(series)
    there = 0
    with Bar("Sampling", series.number) as bar, ThreadPoolExecutor(workers()) as pool:
        for rows in series.blocks():
            paths = series.paths(rows)
            missing = [i for i, whole in enumerate(pool.map(_whole, paths)) if not whole]
            there += len(rows) - len(missing)
            bar.advance(len(rows) - len(missing))
            if missing:
                _make(series, [rows[i] for i in missing], [paths[i] for i in missing], pool, bar)
    if there:
        log.info("%d of the %d pictures were there already", there, series.number)
    first = series.paths(range(min(series.number, IN_GRID)))
    write_bytes(series.folder / GRID, figures.grid(np.stack([np.asarray(Image.open(path)) for path in first])))
    return Images.open(series.folder)


def _make(series: SampleRequest, rows: list[int], paths: list[Path], pool: ThreadPoolExecutor, bar: Bar) -> None:
    pixels = series.model._pictures([series.seed + row for row in rows], series.labels(rows), bar)

    def write(picture: NDArray[np.uint8], path: Path) -> None:
        # Unsynced: thousands of waits for the disk, where after a power cut a broken picture is seen and made again.
        write_bytes(path, figures.png(picture), synced=False)

    list(pool.map(write, pixels.permute(0, 2, 3, 1).numpy(), paths))


def _claimed(series: SampleRequest) -> SampleRequest:
    """Mark the folder as this request's; a smaller number than it holds pictures already becomes that one."""
    record, facts = series.folder / RECORD, series.facts()
    if record.exists():
        held = json.loads(record.read_text(encoding="utf-8"))
        _refuse_another(series.folder, held, json.loads(json.dumps(facts)))
        number = max(series.number, _begun(series.folder))
        series = SampleRequest(series.model, number, series.label, series.seed, series.folder)
    elif is_occupied(series.folder):
        raise UsageError(f"{series.folder} holds something already; give a new or an empty folder.")
    for draft in series.folder.rglob(_DRAFT):  # of a run that was killed
        draft.unlink()
    write_text(record, json.dumps({**facts, "number": series.number}, indent=1, ensure_ascii=False) + "\n")
    write_text(series.folder / TABLE, _table(series))
    return series


def _begun(folder: Path) -> int:
    """How many pictures the folder holds, gaps that a kill has left counted."""
    return max((int(path.stem) + 1 for path in folder.rglob("[0-9]*.png") if path.stem.isdigit()), default=0)


def _refuse_another(folder: Path, held: dict[str, Any], wanted: dict[str, Any]) -> None:
    differing = [name for name in wanted if held.get(name) != wanted[name]]
    if not differing:
        return
    plain = [f"{name} {held.get(name)} there, {wanted[name]} here" for name in differing if name in ("label", "seed")]
    told = ", ".join(plain or ["made by another model"])
    raise UsageError(f"{folder} holds pictures of another request ({told}). Choose another folder, or delete that one.")


def _table(series: SampleRequest) -> str:
    """A row a picture: whoever opens the folder learns that they are made ones, and does not take the sheet for one."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["file_name", "label", "origin"])
    classes = series.model.classes_
    for block in series.blocks():
        for path, label in zip(series.paths(block), series.labels(block), strict=True):
            rows.writerow([path.relative_to(series.folder).as_posix(), classes[label] if classes else "", "synthetic"])
    return out.getvalue()


def _whole(path: Path) -> bool:
    """Whether the picture is there to its last byte."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_END), io.SEEK_END)
            return file.read() == _END
    except OSError:
        return False


def _folder_name(name: str) -> str:
    """A class's name as that of a folder."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name).strip(" .") or "_"
