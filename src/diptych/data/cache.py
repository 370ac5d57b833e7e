"""Decoded pictures of one source, kept so that slices, splits and second looks do not decode again."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decode import Geometry, decode, decode_square, silence_pillow, square
from diptych.data.resources import workers
from diptych.errors import PictureError

if TYPE_CHECKING:
    from diptych.data.sources.base import Source

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]

#: Pictures that one thread decodes in a go; large enough to hide the hand-over, small enough to share evenly.
CHUNK = 64
#: Sizes that are kept at a time: the one that is trained on and the thumbnails that find near-duplicates.
_KEPT_SIZES = 2
#: Bytes of a file up to which decoding is mostly Python: of two threads each would wait for the other.
_TINY = 4096
_WEIGHED = 32  # files that tell whether most are tiny
_UNKNOWN, _GOOD, _BAD = 0, 1, 2


@contextmanager
def thread_pool(threads: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A thread pool that drops what has not begun when its user leaves early (Ctrl-C, an error)."""
    executor = ThreadPoolExecutor(threads or workers(), thread_name_prefix="diptych-decode")
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Kept:
    """All that was decoded at one size: blocks of (n, 3, S, S), and where each row lies in them."""

    place: Rows  # (source length,), -1: not here
    blocks: list[Pixels] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    total: int = 0

    def add(self, rows: Rows, block: Pixels) -> None:
        self.place[rows] = np.arange(self.total, self.total + len(rows))
        self.blocks.append(block)
        self.starts.append(self.total)
        self.total += len(rows)

    def gather(self, rows: Rows) -> Pixels:
        """Pixels of these rows; the block itself, uncopied, when they are exactly one."""
        place = self.place[rows]
        for start, block in zip(self.starts, self.blocks, strict=True):
            if len(place) == len(block) and (place == np.arange(start, start + len(block))).all():
                return block
        if len(self.blocks) == 1:
            return self.blocks[0].take(place, axis=0)
        out = np.empty((len(rows), *self.blocks[0].shape[1:]), np.uint8)
        for start, block in zip(self.starts, self.blocks, strict=True):
            here = np.flatnonzero((place >= start) & (place < start + len(block)))
            out[here] = block[place[here] - start]
        return out


class DecodedCache:
    """The decoded pictures of one source, by size and geometry, and what decoding taught about each."""

    def __init__(self, source: "Source") -> None:
        n = len(source)
        self._source = source
        self._kept: OrderedDict[tuple[int, Geometry], _Kept] = OrderedDict()
        self._lock = threading.RLock()
        self.state = np.zeros(n, np.uint8)
        self.errors: dict[int, PictureError] = {}
        self.sizes = np.zeros((n, 2), np.int32)  # upright width, height; 0 until decoded
        self.digests = np.zeros(n, np.uint64)  # of the file's bytes; 0 until decoded
        self.look: Callable[[int, Image.Image], None] | None = None  # shown each picture while it is decoded

    def missing(self, rows: Rows, size: int, geometry: Geometry) -> Rows:
        """Those rows that are neither kept at this size nor known to be unreadable."""
        rows = np.unique(rows[self.state[rows] != _BAD])
        kept = self._kept.get((size, geometry))
        return rows if kept is None else rows[kept.place[rows] < 0]

    def unchecked(self, rows: Rows) -> Rows:
        """Those rows that nobody has tried to decode yet."""
        return np.unique(rows[self.state[rows] == _UNKNOWN])

    def fill(self, rows: Rows, size: int, geometry: Geometry, advance: Callable[[int], None]) -> None:
        """Decode what is missing of these rows and keep it."""
        with self._lock:
            missing = self.missing(rows, size, geometry)
            kept = self._keep(size, geometry)
            if not len(missing):
                return
            block = np.empty((len(missing), 3, size, size), np.uint8)
            self._decode(missing, block, size, geometry, advance)
            kept.add(missing, block)

    def check(self, rows: Rows, size: int, geometry: Geometry, advance: Callable[[int], None]) -> None:
        """Decode those rows that nobody has tried and forget the pixels."""
        with self._lock:
            self._decode(self.unchecked(rows), None, size, geometry, advance)

    def gather(self, rows: Rows, size: int, geometry: Geometry) -> Pixels:
        """(n, 3, size, size) pixels of rows that :meth:`fill` has seen and found good. Not to be written to."""
        with self._lock:
            return self._kept[(size, geometry)].gather(rows)

    def take(self, rows: Rows, size: int, geometry: Geometry) -> tuple[Pixels, NDArray[np.bool_]]:
        """(n, 3, size, size) pixels of these rows, kept or decoded now, and which of them could be read."""
        with self._lock:
            good = self.state[rows] != _BAD
            missing = np.isin(rows, self.missing(rows, size, geometry))
            if good.all() and not missing.any():
                return self.gather(rows, size, geometry), good
            out = np.zeros((len(rows), 3, size, size), np.uint8)
            held = good & ~missing
            if held.any():
                out[held] = self.gather(rows[held], size, geometry)
        for i in np.flatnonzero(missing).tolist():
            try:
                out[i] = self.one(int(rows[i]), size, geometry).transpose(2, 0, 1)
            except PictureError:
                good[i] = False
        return out, good

    def one(self, row: int, size: int, geometry: Geometry) -> Pixels:
        """Decode one row to (size, size, 3), and learn its size, digest or error. Raises PictureError."""
        look = None if self.look is None else partial(self.look, row)
        try:
            content = self._source.read(row)
            if isinstance(content, np.ndarray):
                pixels, dimensions = square(content, size, geometry), (content.shape[1], content.shape[0])
                if look is not None:
                    look(Image.fromarray(content))
            else:
                pixels, dimensions = decode_square(content, size, geometry, self._source.rows.paths[row], look)
        except PictureError as error:
            self.errors[row] = error
            self.state[row] = _BAD
            raise
        self.sizes[row] = dimensions
        self.digests[row] = _digest(content)
        self.state[row] = _GOOD
        return pixels

    def whole(self, row: int) -> Pixels:
        """One picture at its own size, (H, W, 3). Raises PictureError."""
        content = self._source.read(row)
        if isinstance(content, np.ndarray):
            return content
        with silence_pillow():
            return decode(content, self._source.rows.paths[row])

    def _keep(self, size: int, geometry: Geometry) -> _Kept:
        key = (size, geometry)
        if key not in self._kept:
            self._kept[key] = _Kept(np.full(len(self._source), -1, np.int64))
            while len(self._kept) > _KEPT_SIZES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _decode(
        self, rows: Rows, out: Pixels | None, size: int, geometry: Geometry, advance: Callable[[int], None]
    ) -> None:
        def work(start: int) -> int:
            chunk = rows[start : start + CHUNK].tolist()
            for i, row in enumerate(chunk, start):
                try:
                    pixels = self.one(row, size, geometry)
                except PictureError:
                    continue
                if out is not None:
                    out[i] = pixels.transpose(2, 0, 1)
            return len(chunk)

        with silence_pillow(), thread_pool(1 if self._tiny(rows) else None) as executor:
            for done in ordered_map(executor, work, iter(range(0, len(rows), CHUNK)), ahead=4 * workers()):
                advance(done)

    def _tiny(self, rows: Rows) -> bool:
        """Whether most of these pictures are so small that one thread decodes them sooner than two."""
        tried, bytes_each = rows[:: max(1, len(rows) // _WEIGHED)], []
        for row in tried.tolist():
            with suppress(PictureError):
                content = self._source.read(row)
                bytes_each.append(content.nbytes if isinstance(content, np.ndarray) else len(content))
        return bool(bytes_each) and float(np.median(bytes_each)) <= _TINY


def ordered_map(
    executor: ThreadPoolExecutor, work: Callable[[Any], Any], tasks: Iterator[Any], ahead: int
) -> Iterator[Any]:
    """Map over tasks in a pool, in order, with at most ``ahead`` begun and not yet taken."""
    waiting: deque[Future[Any]] = deque()
    for task in tasks:
        waiting.append(executor.submit(work, task))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _digest(content: bytes | memoryview | Pixels) -> int:
    data = np.ascontiguousarray(content).reshape(-1).data if isinstance(content, np.ndarray) else content
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
