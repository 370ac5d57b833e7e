"""Decoding the pictures of several sources at once: kept whole, checked only, or streamed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Geometry, silence_pillow, silence_pillow_for_good
from diptych.data.decode import dimensions as header_dimensions
from diptych.data.resources import workers
from diptych.data.sources.base import Source
from diptych.errors import PictureError
from diptych.progress import Bar

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]
Batch = tuple[Pixels, NDArray[np.bool_]]  # (B, 3, S, S), and which of them could be read


@dataclass(frozen=True)
class Place:
    """Where each picture is: the number of its source, and its row in it; (N,) each."""

    source: Rows
    row: Rows

    @classmethod
    def whole(cls, n: int) -> "Place":
        """All rows of the one source."""
        return cls(np.zeros(n, np.int64), np.arange(n))

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, rows: Any) -> "Place":
        return Place(self.source[rows], self.row[rows])

    def __add__(self, other: "Place") -> "Place":
        return Place(np.concatenate([self.source, other.source]), np.concatenate([self.row, other.row]))

    def one(self) -> tuple[int, int]:
        """The only place there is."""
        return int(self.source), int(self.row)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """(source, row) of each picture."""
        return zip(self.source.tolist(), self.row.tolist(), strict=True)

    def by_source(self) -> Iterator[tuple[int, Rows, Rows]]:
        """For each source in use: its number, where its pictures stand here, and their rows in it."""
        for number in np.unique(self.source).tolist():
            here = np.flatnonzero(self.source == number)
            yield number, here, self.row[here]


def fill(sources: Sequence[Source], place: Place, size: int, geometry: Geometry) -> dict[int, PictureError]:
    """Decode what is missing and keep it. Returns what cannot be read, by position."""
    work = [
        (sources[number].decoded.missing(rows, size, geometry), rows, sources[number].decoded.fill)
        for number, _, rows in place.by_source()
    ]
    _run(work, size, geometry, "Decoding")
    return errors(sources, place)


def check(sources: Sequence[Source], place: Place, size: int, geometry: Geometry) -> dict[int, PictureError]:
    """Try every picture that nobody has tried, and keep no pixels. Returns what cannot be read, by position."""
    work = [
        (sources[number].decoded.unchecked(rows), rows, sources[number].decoded.check)
        for number, _, rows in place.by_source()
    ]
    _run(work, size, geometry, "Checking")
    return errors(sources, place)


def errors(sources: Sequence[Source], place: Place) -> dict[int, PictureError]:
    """What is known to be unreadable, by position."""
    found: dict[int, PictureError] = {}
    for number, here, rows in place.by_source():
        known = sources[number].decoded.errors
        if known:
            found |= {int(i): known[row] for i, row in zip(here, rows.tolist(), strict=True) if row in known}
    return dict(sorted(found.items()))


def gather(sources: Sequence[Source], place: Place, size: int, geometry: Geometry) -> Pixels:
    """(N, 3, size, size) of what :func:`fill` decoded; not copied where it can be helped."""
    parts = list(place.by_source())
    if len(parts) == 1:
        number, _, rows = parts[0]
        return sources[number].decoded.gather(rows, size, geometry)
    out = np.empty((len(place), 3, size, size), np.uint8)
    for number, here, rows in parts:
        out[here] = sources[number].decoded.gather(rows, size, geometry)
    return out


def stream(
    sources: Sequence[Source], place: Place, size: int, geometry: Geometry, batches: Iterable[Rows]
) -> Iterator[Pixels]:
    """Decode batch after batch; see :meth:`diptych.Images.batches`. At most four batches are held."""
    share = 1 + 255 // workers()  # a batch is decoded by all threads at once, so that the first comes soon

    def tasks() -> Iterator[tuple[Pixels, Rows, int, int, bool]]:
        for batch in batches:
            rows = np.asarray(batch)
            out = np.empty((len(rows), 3, size, size), np.uint8)
            for start in range(0, max(len(rows), 1), share):
                yield out, rows, start, share, start + share >= len(rows)

    def work(task: tuple[Pixels, Rows, int, int, bool]) -> Pixels | None:
        out, rows, start, count, last = task
        for i, row in enumerate(rows[start : start + count], start):
            number, at = place[row].one()
            out[i] = sources[number].decoded.one(at, size, geometry).transpose(2, 0, 1)
        return out if last else None

    silence_pillow_for_good()
    with thread_pool() as executor:
        for done in ordered_map(executor, work, tasks(), ahead=4 * workers()):
            if done is not None:
                yield done


def decoded_batches(
    sources: Sequence[Source], place: Place, size: int, geometry: Geometry, batch: int
) -> Iterator[Batch]:
    """Decode all in order; see :meth:`diptych.Images.decoded_batches`. Two batches a thread are held, or a few more."""

    def work(start: int) -> Batch:
        return _taken(sources, place[start : start + batch], size, geometry)

    silence_pillow_for_good()
    with thread_pool() as executor:
        yield from ordered_map(executor, work, iter(range(0, len(place), batch)), ahead=2 * workers())


def _taken(sources: Sequence[Source], place: Place, size: int, geometry: Geometry) -> Batch:
    """Pixels of a batch, and which could be read."""
    parts = list(place.by_source())
    if len(parts) == 1:
        number, _, rows = parts[0]
        return sources[number].decoded.take(rows, size, geometry)
    out, good = np.empty((len(place), 3, size, size), np.uint8), np.empty(len(place), bool)
    for number, here, rows in parts:
        out[here], good[here] = sources[number].decoded.take(rows, size, geometry)
    return out, good


def dimensions(sources: Sequence[Source], place: Place) -> NDArray[np.int64]:
    """(N, 2) upright width and height; (0, 0) where unreadable."""

    def look(at: tuple[int, int]) -> tuple[int, int]:
        source, row = sources[at[0]], at[1]
        known = source.decoded.sizes[row]
        if known[0]:
            return int(known[0]), int(known[1])
        try:
            content = source.read(row)
            if isinstance(content, np.ndarray):
                return content.shape[1], content.shape[0]
            return header_dimensions(content, source.rows.paths[row])
        except PictureError:
            return 0, 0

    with silence_pillow():
        return np.array([look(at) for at in place.pairs()], np.int64).reshape(-1, 2)


def _run(work: Sequence[tuple[Rows, Rows, Callable[..., None]]], size: int, geometry: Geometry, title: str) -> None:
    total = sum(len(todo) for todo, _, _ in work)
    if not total:
        for _, rows, function in work:
            function(rows, size, geometry, _ignore)
        return
    with Bar(title, total) as bar:
        for _, rows, function in work:
            function(rows, size, geometry, bar.advance)


def _ignore(_: int) -> None:
    pass
