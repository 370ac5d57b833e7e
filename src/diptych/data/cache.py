"""Decoded pictures of one source, kept so that slices, splits and repeated use do not decode again."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decode import Geometry, decode, decode_square, silence_pillow, to_square
from diptych.data.decode import dimensions as header_dimensions
from diptych.data.decoding.colour import Ground
from diptych.errors import PictureError
from diptych.resources import worker_count

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]

Content = bytes | memoryview | Pixels  # a file's bytes, or (H, W, 3) pixels

#: Pictures that one thread decodes in a go; large enough to hide the hand-over, small enough to share evenly.
CHUNK_PICTURES = 64
#: Sizes that are kept at a time: the one that is trained on and the thumbnails that find near-duplicates.
_MAX_SIZES = 2
#: Bytes of a file up to which decoding is mostly Python: of two threads each would wait for the other.
_TINY_FILE_BYTES = 4096
_SAMPLED_FILES = 32  # files whose size says whether most are tiny
_UNTRIED, _READABLE, _UNREADABLE = 0, 1, 2


@contextmanager
def thread_pool(threads: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool of decoding threads that cancels queued work when its user leaves early (Ctrl-C, an error)."""
    executor = ThreadPoolExecutor(threads or worker_count(), thread_name_prefix="diptych-decode")
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Blocks:
    """All pictures decoded at one size: blocks of (n, 3, S, S), and where each row lies in them."""

    positions: Rows  # (source length,) position over all blocks; -1: not decoded
    blocks: list[Pixels] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    total: int = 0

    def add(self, rows: Rows, block: Pixels) -> None:
        self.positions[rows] = np.arange(self.total, self.total + len(rows))
        self.blocks.append(block)
        self.starts.append(self.total)
        self.total += len(rows)

    def gather(self, rows: Rows) -> Pixels:
        """Pixels of these rows; the block itself, uncopied, when they are exactly one."""
        positions = self.positions[rows]
        for start, block in zip(self.starts, self.blocks, strict=True):
            if len(positions) == len(block) and (positions == np.arange(start, start + len(block))).all():
                return block
        if len(self.blocks) == 1:
            return self.blocks[0].take(positions, axis=0)
        out = np.empty((len(rows), *self.blocks[0].shape[1:]), np.uint8)
        for start, block in zip(self.starts, self.blocks, strict=True):
            inside = np.flatnonzero((positions >= start) & (positions < start + len(block)))
            out[inside] = block[positions[inside] - start]
        return out


class DecodedCache:
    """The decoded pictures of one source, by size and geometry, and what decoding reveals about each.

    Parameters
    ----------
    read
        Returns the content of a row; raises PictureError.
    paths
        A name for each row, for errors.
    byte_counts
        (N,) the bytes of each row's file; ``None``: they are not known without reading.

    Attributes
    ----------
    errors
        Why a row cannot be read, by row, as far as is known.
    sizes
        (N, 2) upright width and height; 0 until decoded.
    digests
        (N,) 64-bit digests of the contents; 0 until decoded.
    observe
        Called with the row and the picture whenever one is decoded by :meth:`one`.
    """

    def __init__(
        self,
        read: Callable[[int], Content],
        paths: Sequence[str] | NDArray[np.str_],
        byte_counts: NDArray[np.int32] | None = None,
    ) -> None:
        n = len(paths)
        self._read, self._paths, self._byte_counts = read, paths, byte_counts
        self._blocks: OrderedDict[tuple[int, Geometry], _Blocks] = OrderedDict()
        self._lock = threading.RLock()
        self._state = np.zeros(n, np.uint8)
        self.errors: dict[int, PictureError] = {}
        self.sizes = np.zeros((n, 2), np.int32)
        self.digests = np.zeros(n, np.uint64)
        self.observe: Callable[[int, Image.Image], None] | None = None

    @property
    def cached_sizes(self) -> list[int]:
        """Sizes whose pixels are kept, the least recently used first."""
        return [size for size, _ in self._blocks]

    def missing(self, rows: Rows, size: int, geometry: Geometry) -> Rows:
        """Those rows that are neither kept at this size nor known to be unreadable."""
        rows = np.unique(rows[self._state[rows] != _UNREADABLE])
        blocks = self._blocks.get((size, geometry))
        return rows if blocks is None else rows[blocks.positions[rows] < 0]

    def unchecked(self, rows: Rows) -> Rows:
        """Those rows that have not been tried yet."""
        return np.unique(rows[self._state[rows] == _UNTRIED])

    def fill(self, rows: Rows, size: int, geometry: Geometry, advance: Callable[[int], None]) -> None:
        """Decode what is missing of these rows and keep it."""
        with self._lock:
            missing = self.missing(rows, size, geometry)
            blocks = self._blocks_of(size, geometry)
            if not len(missing):
                return
            block = np.empty((len(missing), 3, size, size), np.uint8)
            self._decode(missing, block, size, geometry, advance)
            blocks.add(missing, block)

    def check(self, rows: Rows, size: int, geometry: Geometry, advance: Callable[[int], None]) -> None:
        """Decode those rows that have not been tried and discard the pixels."""
        with self._lock:
            self._decode(self.unchecked(rows), None, size, geometry, advance)

    def gather(self, rows: Rows, size: int, geometry: Geometry) -> Pixels:
        """(n, 3, size, size) pixels of readable rows that :meth:`fill` has decoded. Not to be written to."""
        with self._lock:
            return self._blocks[(size, geometry)].gather(rows)

    def take(self, rows: Rows, size: int, geometry: Geometry) -> tuple[Pixels, NDArray[np.bool_]]:
        """(n, 3, size, size) pixels of these rows, kept or decoded now, and (n,) which of them could be read."""
        with self._lock:
            readable = self._state[rows] != _UNREADABLE
            missing = np.isin(rows, self.missing(rows, size, geometry))
            if readable.all() and not missing.any():
                return self.gather(rows, size, geometry), readable
            out = np.zeros((len(rows), 3, size, size), np.uint8)
            cached = readable & ~missing
            if cached.any():
                out[cached] = self.gather(rows[cached], size, geometry)
        for i in np.flatnonzero(missing).tolist():
            try:
                out[i] = self.one(int(rows[i]), size, geometry).transpose(2, 0, 1)
            except PictureError:
                readable[i] = False
        return out, readable

    def one(self, row: int, size: int, geometry: Geometry) -> Pixels:
        """Decode one row to (size, size, 3), and record its size, digest or error. Raises PictureError."""
        observe = None if self.observe is None else partial(self.observe, row)
        try:
            content = self._read(row)
            if isinstance(content, np.ndarray):
                pixels, dimensions = to_square(content, size, geometry), (content.shape[1], content.shape[0])
                if observe is not None:
                    observe(Image.fromarray(content))
            else:
                pixels, dimensions = decode_square(content, size, geometry, self._paths[row], observe)
        except PictureError as error:
            self.errors[row] = error
            self._state[row] = _UNREADABLE
            raise
        self.sizes[row] = dimensions
        self.digests[row] = _digest(content)
        self._state[row] = _READABLE
        return pixels

    def whole(self, row: int, ground: Ground = "white") -> Pixels:
        """One picture at its own size, (H, W, 3). Raises PictureError."""
        content = self._read(row)
        if isinstance(content, np.ndarray):
            return content
        with silence_pillow():
            return decode(content, self._paths[row], ground)

    def digest(self, row: int) -> int:
        """The digest of one picture's content, read where it is not decoded; 0 if it cannot be read."""
        known = int(self.digests[row])
        if known:
            return known
        try:
            return _digest(self._read(row))
        except PictureError:
            return 0

    def dimensions(self, row: int) -> tuple[int, int]:
        """Upright width and height of one picture, from its header where it is not decoded; (0, 0) if unreadable."""
        width, height = self.sizes[row].tolist()
        if width:
            return width, height
        try:
            content = self._read(row)
            if isinstance(content, np.ndarray):
                return content.shape[1], content.shape[0]
            return header_dimensions(content, self._paths[row])
        except PictureError:
            return 0, 0

    def _blocks_of(self, size: int, geometry: Geometry) -> _Blocks:
        key = (size, geometry)
        if key not in self._blocks:
            self._blocks[key] = _Blocks(np.full(len(self._paths), -1, np.int64))
            while len(self._blocks) > _MAX_SIZES:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key]

    def _decode(
        self, rows: Rows, out: Pixels | None, size: int, geometry: Geometry, advance: Callable[[int], None]
    ) -> None:
        def work(start: int) -> int:
            chunk = rows[start : start + CHUNK_PICTURES].tolist()
            for i, row in enumerate(chunk, start):
                try:
                    pixels = self.one(row, size, geometry)
                except PictureError:
                    continue
                if out is not None:
                    out[i] = pixels.transpose(2, 0, 1)
            return len(chunk)

        starts = iter(range(0, len(rows), CHUNK_PICTURES))
        with silence_pillow(), thread_pool(1 if self.mostly_tiny(rows) else None) as executor:
            for count in ordered_map(executor, work, starts, ahead=4 * worker_count()):
                advance(count)

    def mostly_tiny(self, rows: Rows) -> bool:
        """Whether most of these pictures are so small that one thread decodes them sooner than two."""
        if self._byte_counts is not None:
            return float(np.median(self._byte_counts[rows])) <= _TINY_FILE_BYTES
        sample, byte_counts = rows[:: max(1, len(rows) // _SAMPLED_FILES)], []
        for row in sample.tolist():
            with suppress(PictureError):
                content = self._read(row)
                byte_counts.append(content.nbytes if isinstance(content, np.ndarray) else len(content))
        return bool(byte_counts) and float(np.median(byte_counts)) <= _TINY_FILE_BYTES


def ordered_map(
    executor: ThreadPoolExecutor, work: Callable[[Any], Any], tasks: Iterator[Any], ahead: int
) -> Iterator[Any]:
    """Map over tasks in a pool, in order, with at most ``ahead`` submitted and not yet yielded."""
    pending: deque[Future[Any]] = deque()
    for task in tasks:
        pending.append(executor.submit(work, task))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _digest(content: Content) -> int:
    data = np.ascontiguousarray(content).reshape(-1).data if isinstance(content, np.ndarray) else content
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
