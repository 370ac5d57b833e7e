"""Writes samples to disk as they are generated: in bounded memory, and a killed run continues where it was.

::

    out/
      sample.json       the request; a folder belongs to one
      metadata.csv      file, label and origin of every picture
      000000.png, …     in class folders where the classes vary
      grid.png          the first of them on one sheet; written last
"""

import io
import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct
from PIL import Image

from diptych import files, json_reader
from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.engine import machine, row_jobs
from diptych.errors import UsageError
from diptych.opening import open_file, read_file
from diptych.progress import Bar, only_warnings
from diptych.report import figures
from diptych.report.visible_label import can_be_labelled, too_small
from diptych.resources import worker_count
from diptych.synthesis.protocols import Label, SampledModel
from diptych.synthesis.sampling import seeding
from diptych.synthesis.sampling.sample_request import (
    GRID_FILE,
    REQUEST_FILE,
    TABLE_FILE,
    SampleRequest,
    encoded,
    encoding_job,
)

log = logging.getLogger("diptych")
BLOCK = 256  # pictures generated at a time at most: whole batches on every device
BLOCK_SECONDS = 2.0  # that a block takes, so that pictures appear soon, and the most that a kill costs
MAX_GRID_PICTURES = 400  # more cannot be looked at on one sheet
SINGLE_FILES = (".npz", ".parquet")  # besides folders
_TABLE_HEADER = "file_name,label,origin\r\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_DRAFTS = ".*.draft"


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
    runner = row_jobs.runner()
    with ThreadPoolExecutor(worker_count()) as pool:
        present = _write_missing(request, pool) if runner is None else _write_missing_by(runner, request, pool)
    if present:
        log.info("%s of the %s were there already", f"{present:,}", counted(request.number, "picture"))
    first = request.paths(range(min(request.number, MAX_GRID_PICTURES)))
    pixels = np.stack([np.asarray(Image.open(path)) for path in first])
    files.write_bytes(request.folder / GRID_FILE, figures.grid(pixels, generated=request.model.generated_facts()))
    return _opened(request.folder)


def _write_missing(request: SampleRequest, pool: ThreadPoolExecutor) -> int:
    """Write the pictures that are missing; returns how many are there."""
    present, start, pace = 0, 0, Pace(seeding.chunk_size(request.model.size_, machine.device()))
    table = _Table(request)
    with Bar("Sampling", request.number) as bar:
        while start < request.number:
            rows = range(start, min(start + pace.block, request.number))
            missing = _missing(request, rows, pool)
            present += len(rows) - len(missing)
            bar.skip(len(rows) - len(missing))
            table.add(rows)  # first: whatever a kill leaves is marked as synthetic
            if missing:
                with pace.timing(len(missing)):
                    _write(request, missing, encoded(request, missing, pool, bar), pool)
            start = rows.stop
    return present


def _write_missing_by(runner: row_jobs.JobRunner, request: SampleRequest, pool: ThreadPoolExecutor) -> int:
    """The same with pictures that other machines sample and encode; whole jobs of them."""
    table, jobs, present = _Table(request), [], 0
    for rows in row_jobs.ranges(request.number):
        missing = _missing(request, rows, pool)
        present += len(rows) - len(missing)
        jobs += [rows] if missing else []
    identity = {**request.facts(), "folder": str(request.folder)}
    for rows, result in zip(jobs, runner.results(encoding_job, request, jobs, identity, "Sampling"), strict=True):
        table.add(range(rows.stop))
        _write(request, rows, result["pictures"], pool)
    table.add(range(request.number))
    return present


def _missing(request: SampleRequest, rows: range, pool: ThreadPoolExecutor) -> list[int]:
    """The numbers of those pictures that are not in the folder, whole."""
    return [row for row, whole in zip(rows, pool.map(_is_whole, request.paths(rows)), strict=True) if not whole]


def _write(request: SampleRequest, rows: Sequence[int], contents: list[bytes], pool: ThreadPoolExecutor) -> None:
    def write(path: Path, content: bytes) -> None:
        # Unsynced: thousands of waits for the disk; a picture that a power cut broke is detected and written again.
        files.write_bytes(path, content, synced=False)

    list(pool.map(write, request.paths(rows), contents))


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
