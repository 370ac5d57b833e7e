"""The pixels of pictures that lie in several sources: decoded and kept, checked only, or streamed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Geometry, ignore_pillow_warnings, silence_pillow
from diptych.data.decoding.colour import Ground
from diptych.data.sources.base import Source
from diptych.errors import PictureError
from diptych.marks import Generated, Kind, told_by
from diptych.progress import Bar
from diptych.resources import worker_count

T = TypeVar("T")
Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]
Batch = tuple[Pixels, NDArray[np.bool_]]  # (B, 3, S, S), and which of them could be read

#: Pictures that all threads decode together in a stream, so that the first batch comes soon.
_SHARED_PICTURES = 255


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Where the pictures of a set are, and their pixels. Immutable; what is decoded is shared by all its slices.

    Attributes
    ----------
    sources
        The sources that the pictures lie in.
    source_numbers
        (N,) the source of each picture, as its number among ``sources``.
    source_rows
        (N,) the row of each picture in its source.
    """

    sources: tuple[Source, ...]
    source_numbers: Rows
    source_rows: Rows

    @classmethod
    def of_source(cls, source: Source) -> "PixelStore":
        """All pictures of one source."""
        return cls((source,), np.zeros(len(source), np.int64), np.arange(len(source)))

    def __len__(self) -> int:
        return len(self.source_rows)

    def __getitem__(self, rows: Any) -> "PixelStore":
        return PixelStore(self.sources, self.source_numbers[rows], self.source_rows[rows])

    def __add__(self, other: "PixelStore") -> "PixelStore":
        """Both, one behind the other; a source of both is listed once, so that its decoded pictures are shared."""
        sources = list(self.sources)
        numbers = []
        for source in other.sources:
            number = next((i for i, known in enumerate(sources) if known is source), len(sources))
            if number == len(sources):
                sources.append(source)
            numbers.append(number)
        renumbered = np.array(numbers, np.int64)[other.source_numbers]
        return PixelStore(
            tuple(sources),
            np.concatenate([self.source_numbers, renumbered]),
            np.concatenate([self.source_rows, other.source_rows]),
        )

    def fill(self, size: int, geometry: Geometry) -> dict[int, PictureError]:
        """Decode what is not decoded yet and keep it. Returns what cannot be read, by position."""
        work = [
            (source.decoded.missing(rows, size, geometry), rows, source.decoded.fill)
            for source, _, rows in self._by_source()
        ]
        _run(work, size, geometry, "Decoding")
        return self.errors()

    def check(self, size: int, geometry: Geometry) -> dict[int, PictureError]:
        """Decode every picture that was never tried, and keep no pixels. Returns what cannot be read, by position."""
        work = [(source.decoded.unchecked(rows), rows, source.decoded.check) for source, _, rows in self._by_source()]
        _run(work, size, geometry, "Checking")
        return self.errors()

    def decode_again(self, size: int, geometry: Geometry) -> None:
        """Decode every picture, also those decoded before, and keep no pixels; unreadable ones are passed over."""

        def work(location: tuple[Source, int]) -> None:
            source, row = location
            try:
                source.decoded.one(row, size, geometry)
            except PictureError:
                return

        with thread_pool() as executor:
            for _ in ordered_map(executor, work, self._locations(), ahead=64 * worker_count()):
                pass

    @contextmanager
    def observed(self, observe: Callable[[int, Image.Image], None]) -> Iterator[None]:
        """Call ``observe`` with the position and the picture, from any thread, for every picture decoded meanwhile."""
        caches = []
        try:
            for source, positions, rows in self._by_source():
                source.decoded.observe = _at_positions(observe, len(source), rows, positions)
                caches.append(source.decoded)
            yield
        finally:
            for cache in caches:
                cache.observe = None

    def errors(self) -> dict[int, PictureError]:
        """Which positions are known to be unreadable, and why; decodes nothing."""
        errors: dict[int, PictureError] = {}
        for source, positions, rows in self._by_source():
            known = source.decoded.errors
            if known:
                errors |= {int(i): known[row] for i, row in zip(positions, rows.tolist(), strict=True) if row in known}
        return dict(sorted(errors.items()))

    def gather(self, size: int, geometry: Geometry) -> Pixels:
        """(N, 3, size, size) of what :meth:`fill` decoded; copied only where it must be."""
        parts = list(self._by_source())
        if len(parts) == 1:
            source, _, rows = parts[0]
            return source.decoded.gather(rows, size, geometry)
        out = np.empty((len(self), 3, size, size), np.uint8)
        for source, positions, rows in parts:
            out[positions] = source.decoded.gather(rows, size, geometry)
        return out

    def picture(self, position: int, size: int | None = None, ground: Ground = "white") -> Pixels:
        """Decode one picture; see :meth:`diptych.Images.picture`."""
        source, row = self._location(position)
        return source.decoded.whole(row, ground) if size is None else source.decoded.one(row, size, "squash")

    def stream(self, size: int, geometry: Geometry, batches: Iterable[Rows]) -> Iterator[Pixels]:
        """Decode batch after batch; see :meth:`diptych.Images.batches`. At most four batches are in memory."""
        share = 1 + _SHARED_PICTURES // worker_count()

        def tasks() -> Iterator[tuple[Pixels, Rows, int, bool]]:
            for batch in batches:
                positions = np.asarray(batch)
                out = np.empty((len(positions), 3, size, size), np.uint8)
                for start in range(0, max(len(positions), 1), share):
                    yield out, positions, start, start + share >= len(positions)

        def work(task: tuple[Pixels, Rows, int, bool]) -> Pixels | None:
            out, positions, start, last = task
            for i, position in enumerate(positions[start : start + share], start):
                source, row = self._location(position)
                out[i] = source.decoded.one(row, size, geometry).transpose(2, 0, 1)
            return out if last else None

        ignore_pillow_warnings()
        with thread_pool(1 if self._mostly_tiny() else None) as executor:
            for block in ordered_map(executor, work, tasks(), ahead=4 * worker_count()):
                if block is not None:
                    yield block

    def _mostly_tiny(self) -> bool:
        """Whether most pictures of each source are so small that one thread decodes them sooner than two."""
        return len(self) > 0 and all(source.decoded.mostly_tiny(rows) for source, _, rows in self._by_source())

    def decoded_batches(self, size: int, geometry: Geometry, batch: int) -> Iterator[Batch]:
        """Decode all in order; see :meth:`diptych.Images.decoded_batches`.

        About two batches a thread are in memory.
        """

        def work(start: int) -> Batch:
            return self[start : start + batch]._take(size, geometry)

        ignore_pillow_warnings()
        if len(self) <= batch:  # nothing that a second thread could do
            yield from map(work, range(0, len(self), batch))
            return
        with thread_pool() as executor:
            yield from ordered_map(executor, work, iter(range(0, len(self), batch)), ahead=2 * worker_count())

    def dimensions(self) -> NDArray[np.int64]:
        """(N, 2) upright width and height; (0, 0) where unreadable."""
        with silence_pillow():
            sizes = [source.decoded.dimensions(row) for source, row in self._locations()]
        return np.array(sizes, np.int64).reshape(-1, 2)

    def digests(self) -> NDArray[np.uint64]:
        """(N,) a digest of each picture's content, once it is decoded; 0 before, and where it cannot be read."""
        out = np.zeros(len(self), np.uint64)
        for source, positions, rows in self._by_source():
            out[positions] = source.decoded.digests[rows]
        return out

    def content_digests(self) -> NDArray[np.uint64]:
        """(N,) the digests without decoding anything: what is not decoded is read; 0 where it cannot be."""
        with thread_pool() as executor:
            digests = _in_chunks(executor, lambda source, row: source.decoded.digest(row), self._locations())
            return np.fromiter(digests, np.uint64, len(self))

    def marked_kinds(self) -> list[Kind | None]:
        """What the marks in each picture's own file call it; each is read once, whatever the slices."""
        unknown = [
            (source, row)
            for source, row in self._locations()
            if not source.origins_include_marks and row not in source.marks
        ]

        def work(start: int) -> None:
            for source, row in unknown[start : start + _SHARED_PICTURES]:
                source.marked_kind(row)

        if unknown:
            with thread_pool() as executor:
                list(executor.map(work, range(0, len(unknown), _SHARED_PICTURES)))
        return [source.marked_kind(row) for source, row in self._locations()]

    def generated_by(self, position: int) -> Generated | None:
        """The model that generated a picture, or what the marks in its own file tell; ``None``: neither is known."""
        source, row = self._location(position)
        if source.generated_by is not None:
            return source.generated_by()
        return None if source.marked_kind(row) is None else told_by(self.file(position) or b"")

    def file(self, position: int) -> bytes | None:
        """The bytes of a picture's file; ``None``: it is in memory as pixels. Raises PictureError."""
        source, row = self._location(position)
        content = source.read(row)
        return None if isinstance(content, np.ndarray) else bytes(content)

    def identities(self) -> Iterator[bytes]:
        """What identifies each picture without decoding it; see :meth:`Source.identity`."""
        with thread_pool() as executor:
            yield from _in_chunks(executor, lambda source, row: source.identity(row), self._locations())

    def blocks(self) -> Rows | None:
        """(N,) the number of the block that each picture lies in, of a set that is read in blocks; else ``None``."""
        starts = self.sources[0].block_starts
        if len(self.sources) > 1 or starts is None:
            return None
        return np.asarray(np.searchsorted(starts, self.source_rows, side="right") - 1, np.int64)

    def _take(self, size: int, geometry: Geometry) -> Batch:
        """Pixels of all pictures, and which could be read."""
        parts = list(self._by_source())
        if len(parts) == 1:
            source, _, rows = parts[0]
            return source.decoded.take(rows, size, geometry)
        out, readable = np.empty((len(self), 3, size, size), np.uint8), np.empty(len(self), bool)
        for source, positions, rows in parts:
            out[positions], readable[positions] = source.decoded.take(rows, size, geometry)
        return out, readable

    def _location(self, position: int) -> tuple[Source, int]:
        return self.sources[int(self.source_numbers[position])], int(self.source_rows[position])

    def _locations(self) -> Iterator[tuple[Source, int]]:
        """Source and row of each picture."""
        for number, row in zip(self.source_numbers.tolist(), self.source_rows.tolist(), strict=True):
            yield self.sources[number], row

    def _by_source(self) -> Iterator[tuple[Source, Rows, Rows]]:
        """For each source in use: itself, the positions of its pictures here, and their rows in it."""
        for number in np.unique(self.source_numbers).tolist():
            positions = np.flatnonzero(self.source_numbers == number)
            yield self.sources[number], positions, self.source_rows[positions]


def _in_chunks(
    executor: ThreadPoolExecutor, work: Callable[[Source, int], T], locations: Iterator[tuple[Source, int]]
) -> Iterator[T]:
    """Map over the pictures in order, some hundred at a time, so that a million do not wait in memory together."""

    def work_chunk(chunk: tuple[tuple[Source, int], ...]) -> list[T]:
        return [work(source, row) for source, row in chunk]

    chunks = iter(lambda: tuple(islice(locations, _SHARED_PICTURES)), ())
    for results in ordered_map(executor, work_chunk, chunks, 4 * worker_count()):
        yield from results


def _at_positions(
    observe: Callable[[int, Image.Image], None], length: int, rows: Rows, positions: Rows
) -> Callable[[int, Image.Image], None]:
    """Turn an observer of positions into one of a source's rows."""
    position_of = np.full(length, -1, np.int64)
    position_of[rows] = positions

    def observe_row(row: int, picture: Image.Image) -> None:
        position = int(position_of[row])
        if position >= 0:
            observe(position, picture)

    return observe_row


def _run(work: Sequence[tuple[Rows, Rows, Callable[..., None]]], size: int, geometry: Geometry, title: str) -> None:
    """Run (rows to decode, all rows, function) for each source, with a progress bar if there is anything to do."""
    total = sum(len(pending) for pending, _, _ in work)
    if not total:
        for _, rows, function in work:
            function(rows, size, geometry, _ignore)
        return
    with Bar(title, total) as bar:
        for _, rows, function in work:
            function(rows, size, geometry, bar.advance)


def _ignore(_: int) -> None:
    pass
