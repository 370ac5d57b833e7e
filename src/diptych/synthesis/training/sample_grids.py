"""Sample grids with fixed seeds, saved as a run goes on, so that a person sees the pictures form."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.files import write_bytes
from diptych.report import figures

COLUMNS, MOST_CLASSES, ROWS_WITHOUT_CLASSES = 8, 10, 4
MOST_FRAMES = 12  # of a report
FRAME_PIXELS = 640  # the longer side of a report's frame, at most


@dataclass(frozen=True)
class GridRequest:
    """The pictures that are drawn again and again: those of a grid first, then more of them to judge by.

    Attributes
    ----------
    labels
        (N,) of the pictures, -1 without classes; their seeds are 0, 1, 2, …
    judged
        (N,) bool: those that together have the classes' shares.
    grid
        How many of the first make the grid: a row for each class, at most ten, or four rows if there are none.
    """

    labels: NDArray[np.int64]
    judged: NDArray[np.bool_]
    grid: int

    @classmethod
    def of(cls, shares: Sequence[float], judged: int = 0) -> "GridRequest":
        """A grid, and so many pictures to judge by (or as many as the grid has, if that is more)."""
        rows = min(len(shares), MOST_CLASSES) or ROWS_WITHOUT_CLASSES
        grid = rows * COLUMNS
        shown = np.repeat(np.arange(rows) if len(shares) else np.full(rows, -1), COLUMNS)
        if not judged:
            return cls(shown.astype(np.int64), np.zeros(grid, bool), grid)
        if not len(shares):
            n = max(judged, grid)
            return cls(np.full(n, -1, np.int64), np.ones(n, bool), grid)
        quotas = _quotas(shares, max(judged, grid))
        columns = np.tile(np.arange(COLUMNS), rows)
        more = [np.full(max(0, q - (COLUMNS if k < rows else 0)), k) for k, q in enumerate(quotas)]
        extra = np.concatenate(more)
        told = np.concatenate([columns < np.asarray(quotas)[shown], np.ones(len(extra), bool)])
        return cls(np.concatenate([shown, extra]).astype(np.int64), told, grid)

    @property
    def seeds(self) -> range:
        """Of the pictures."""
        return range(len(self.labels))


class GridFrames:
    """The grids of a run, in ``samples/`` of its folder and in memory, by the pictures seen.

    Parameters
    ----------
    folder
        The artefact's; None: they are kept in memory only.
    seen_pictures
        Where the run begins or continues: what was drawn later, before a kill, is drawn again.
    """

    def __init__(self, folder: Path | None, seen_pictures: int) -> None:
        self._folder = None if folder is None else folder / "samples"
        self.grids: dict[int, bytes] = {}
        for path in sorted(self._folder.glob("[0-9]*.png")) if self._folder else []:
            if not path.stem.isdigit():
                continue
            if int(path.stem) > seen_pictures:
                path.unlink()
            else:
                self.grids[int(path.stem)] = path.read_bytes()

    def keep(self, grid: bytes, seen_pictures: int) -> None:
        """One more."""
        self.grids[seen_pictures] = grid
        if self._folder is not None:
            write_bytes(self._folder / f"{seen_pictures:09d}.png", grid)

    def shown(self) -> dict[str, bytes]:
        """At most a dozen, the first and the last among them, small enough for a page; by what they show."""
        seen = sorted(self.grids)
        chosen = sorted({seen[round(i)] for i in np.linspace(0, len(seen) - 1, MOST_FRAMES)}) if seen else []
        return {f"{moment:,} pictures seen": _framed(self.grids[moment]) for moment in chosen}


def sample_grid(pixels: Tensor) -> bytes:
    """Pictures (N, 3, S, S) uint8 as a grid, a PNG."""
    return figures.grid(pixels.permute(0, 2, 3, 1).numpy(), COLUMNS)


def _framed(png: bytes) -> bytes:
    """A grid as a frame: on white, not too large, in the shorter of two formats."""
    with Image.open(io.BytesIO(png)) as opened:
        sheet = opened.convert("RGBA")
    page = Image.new("RGBA", sheet.size, "white")
    page.alpha_composite(sheet)
    page.thumbnail((FRAME_PIXELS, FRAME_PIXELS))
    return figures.picture(np.asarray(page.convert("RGB")))


def _quotas(shares: Sequence[float], n: int) -> list[int]:
    """``n`` in whole parts as near to the shares as can be (the largest remainders are rounded up)."""
    exact = np.asarray(shares) * n / np.sum(shares)
    whole = np.floor(exact).astype(int)
    for k in np.argsort(whole - exact, kind="stable")[: n - int(whole.sum())]:
        whole[k] += 1
    return [int(k) for k in whole]
