"""A packed set as a source: about 60 bytes a picture in memory beside its name, whatever the pictures take."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decoding.limits import MAX_FILE_BYTES
from diptych.data.messages import counted, join_names, printable
from diptych.data.sources.base import ORIGINS, Metadata, Source
from diptych.data.sources.files import Files, LocalFiles
from diptych.data.sources.packed.block_reader import BlockCache, OpenShards, read_range
from diptych.data.sources.packed.pack_manifest import (
    BLOCK,
    COLUMN,
    DIGEST,
    LABEL,
    NAME,
    OFFSET,
    ORIGIN,
    SIZE,
    PackManifest,
    Shard,
    check_size,
    read_manifest,
)
from diptych.data.sources.packed.path_column import PathColumn
from diptych.errors import DataError, PictureError
from diptych.marks import Kind

log = logging.getLogger("diptych")
_AHEAD = 32  # indexes that are read at the same time


@dataclass(frozen=True)
class Places:
    """Where the bytes of each picture lie.

    Attributes
    ----------
    shard_starts
        (shards + 1,) the first row of each shard, and the number of all.
    block_starts
        (blocks + 1,) the same of each block; no block is in two shards.
    offsets, sizes
        (N,) in the file of the shard.
    digests
        (N,) BLAKE2b of the bytes, the first eight.
    """

    shard_starts: list[int]
    block_starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    digests: NDArray[np.uint64]


class PackedSource(Source):
    """Pictures at known places in shards, here or behind a URL."""

    origins_include_marks = True

    def __init__(self, files: Files, shards: Sequence[Shard], places: Places, metadata: Metadata) -> None:
        self._files, self._shards, self._places = files, shards, places
        self._local = OpenShards(files) if isinstance(files, LocalFiles) else None
        self._blocks = BlockCache(self._fetch)
        self.block_starts, self.byte_counts = places.block_starts, places.sizes
        super().__init__(metadata)

    def read(self, row: int) -> bytes:
        """See :class:`Source`.

        Raises
        ------
        DataError
            The shard does not hold what was packed.
        """
        places = self._places
        start, count = int(places.offsets[row]), int(places.sizes[row])
        if count > MAX_FILE_BYTES:
            raise PictureError(f"the file holds more than {MAX_FILE_BYTES // 1_000_000} MB", self.metadata.paths[row])
        if self._local is not None:
            name = self._shards[bisect_right(places.shard_starts, row) - 1].name
            content = read_range(self._local, name, start, count)
        else:
            block = int(np.searchsorted(places.block_starts, row, side="right")) - 1
            start -= int(places.offsets[places.block_starts[block]])
            content = self._blocks.get(block)[start : start + count]
        if blake2b(content, digest_size=8).digest() != self.identity(row):
            name = self._shards[bisect_right(places.shard_starts, row) - 1].name
            raise DataError(
                f"{self._files.path(name)} is damaged: {self.metadata.paths[row]} is not what was packed. Copy the "
                "file again, or pack the pictures again."
            )
        return content

    def _fetch(self, block: int) -> bytes:
        places = self._places
        first, last = int(places.block_starts[block]), int(places.block_starts[block + 1]) - 1
        start, end = int(places.offsets[first]), int(places.offsets[last]) + int(places.sizes[last])
        return read_range(
            self._files, self._shards[bisect_right(places.shard_starts, first) - 1].name, start, end - start
        )

    def marked_kind(self, row: int) -> Kind | None:
        """See :class:`Source`; the marks were read when the pictures were packed."""
        origins = self.metadata.origins
        kind = ORIGINS[0] if origins is None else str(origins[row])
        return None if kind == ORIGINS[0] else kind  # type: ignore[return-value]

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        return int(self._places.digests[row]).to_bytes(8, "little")


def open_packed(files: Files) -> Source:
    """Open a folder that ``diptych pack`` wrote.

    Raises
    ------
    DataError
        A file of it is missing, or is not what was packed; the message names it.
    """
    import pyarrow as pa

    manifest = read_manifest(files)
    _warn_of_others(files, manifest)
    if not manifest.pictures:
        raise DataError(f"There is no picture in {files.path('')}.")
    with thread_pool() as executor:
        parts = list(ordered_map(executor, lambda shard: _index(files, shard), iter(manifest.shards), _AHEAD))
    try:
        table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
        del parts
        starts = np.cumsum([0, *(shard.pictures for shard in manifest.shards)])
        places = _places(table, starts)
        _check_places(places, manifest, files)
        labels = _labels(table, manifest)
        names = table[NAME].chunk(0)
        groups = {name: _values(table[COLUMN + name]) for name in manifest.columns}
        origins = _values(table[ORIGIN])
    except (KeyError, IndexError, ValueError, TypeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"The indexes in {files.path('')} are damaged ({reason}). Pack the pictures again.") from None
    paths = PathColumn([files.path(shard.name) for shard in manifest.shards], starts, names)
    all_real = bool((origins == ORIGINS[0]).all())
    metadata = Metadata(
        paths=paths,
        labels=labels,
        classes=tuple(manifest.classes),
        groups=groups,
        origins=None if all_real else origins,
    )
    return PackedSource(files, manifest.shards, places, metadata)


def _warn_of_others(files: Files, manifest: PackManifest) -> None:
    """Name the shards that the manifest does not, such as those of another set in the same folder."""
    if not isinstance(files, LocalFiles):
        return  # where listing a folder takes long
    known = {name for shard in manifest.shards for name in (shard.name, shard.index)}
    others = sorted(path.name for path in Path(files.root).glob("shard-*.*") if path.name not in known)
    if others:
        log.warning(
            "%s: %s not used, since pack.json does not name them: %s. Shards of two sets belong in two folders.",
            files.path(""), counted(len(others), "file is", "files are"), join_names(others),
        )  # fmt: skip


def _index(files: Files, shard: Shard) -> Any:
    """The index of one shard, as an Arrow table."""
    import pyarrow as pa

    check_size(files, shard.name, shard.bytes)
    check_size(files, shard.index, shard.index_bytes)
    content = read_range(files, shard.index, 0, shard.index_bytes)
    where = printable(files.path(shard.index))
    if sha256(content).hexdigest() != shard.index_sha256:
        raise DataError(f"{where} is not the one that was packed: its SHA-256 differs. Copy it there again.")
    try:
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where} is damaged: {error}. Pack the pictures again.") from None
    if len(table) != shard.pictures:
        raise DataError(f"{where} is damaged: it has {len(table):,} pictures, not {shard.pictures:,}.")
    return table


def _places(table: Any, starts: NDArray[np.int64]) -> Places:
    blocks = table[BLOCK].to_numpy()
    first = np.concatenate([[True], blocks[1:] != blocks[:-1]])
    first[starts[:-1]] = True
    return Places(
        shard_starts=starts.tolist(),
        block_starts=np.append(np.flatnonzero(first), len(blocks)).astype(np.int64),
        offsets=table[OFFSET].to_numpy().astype(np.int64, copy=False),
        sizes=table[SIZE].to_numpy().astype(np.int32, copy=False),
        digests=table[DIGEST].to_numpy().astype(np.uint64, copy=False),
    )


def _check_places(places: Places, manifest: PackManifest, files: Files) -> None:
    """Check that each picture lies in its shard, and the pictures of a block one behind the other."""
    ends = places.offsets + places.sizes
    limits = np.repeat([shard.bytes for shard in manifest.shards], [shard.pictures for shard in manifest.shards])
    ascending = places.offsets[1:] >= ends[:-1]
    ascending[places.block_starts[1:-1] - 1] = True
    if (places.offsets < 0).any() or (places.sizes < 0).any() or (ends > limits).any() or not ascending.all():
        raise DataError(f"The indexes in {files.path('')} are damaged: a picture lies outside its shard. Pack again.")


def _labels(table: Any, manifest: PackManifest) -> NDArray[Any]:
    """(N,) class numbers, or (N, K) bool of a set whose pictures may have several labels."""
    column = table[LABEL].chunk(0)
    count = len(manifest.classes)
    if manifest.multi_label:
        rows = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
        labels = np.zeros((len(column), count), bool)
        labels[rows, column.flatten().to_numpy()] = True
        return labels
    numbers: NDArray[Any] = column.to_numpy().astype(np.int64)
    if numbers.min() < -1 or numbers.max() >= count:
        raise ValueError("a label is none of the classes")
    return numbers


def _values(column: Any) -> NDArray[Any]:
    """A column as an array; texts are stored once each, with a number for each picture."""
    import pyarrow.types as pt

    if not pt.is_dictionary(column.type):
        return np.asarray(column.to_numpy())
    chunk = column.chunk(0)
    texts = np.array(chunk.dictionary.to_pylist(), np.str_)
    return np.asarray(texts[chunk.indices.to_numpy()])
