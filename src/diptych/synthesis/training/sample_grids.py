"""Grids of samples with fixed seeds, written as a run goes on, so that a person sees the pictures form."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.data.provenance import sheet_facts
from diptych.files import write_bytes
from diptych.marks import Generated, told_by
from diptych.opening import read_file
from diptych.report import figures
from diptych.synthesis.datasets import GEOMETRY, PreparedData

COLUMNS, MAX_CLASS_ROWS, ROWS_WITHOUT_CLASSES = 8, 10, 4
MIN_COLUMNS = 2  # where there is little time
FOLDER = "samples"  # of an artefact's
MAX_FRAMES = 12  # of a report
MAX_FRAME_SIDE = 640  # px, the longer side of a report's frame


@dataclass(frozen=True)
class EvaluationSamples:
    """The labels of the pictures that are sampled at each evaluation: a grid's first, then more to measure.

    Attributes
    ----------
    labels
        (N,) of the pictures, -1 without classes; their seeds are 0, 1, 2, …
    measured
        (N,) bool: those that are measured, which together have the classes' shares.
    grid
        How many of the first make the grid: a row for each class, at most ten, or four rows if there are none.
    columns
        Of the grid.
    """

    labels: NDArray[np.int64]
    measured: NDArray[np.bool_]
    grid: int
    columns: int = COLUMNS

    @classmethod
    def of(cls, shares: Sequence[float], measured: int = 0, columns: int = COLUMNS) -> "EvaluationSamples":
        """Those of a grid, of which or with which ``measured`` are measured, at least as many as the grid has.

        0 measures none.
        """
        rows = _rows(shares)
        grid = rows * columns
        grid_labels = np.repeat(np.arange(rows) if len(shares) else np.full(rows, -1), columns)
        if not measured:
            return cls(grid_labels.astype(np.int64), np.zeros(grid, bool), grid, columns)
        if not len(shares):
            n = max(measured, grid)
            return cls(np.full(n, -1, np.int64), np.ones(n, bool), grid, columns)
        counts = _counts(shares, max(measured, grid))
        places = np.tile(np.arange(columns), rows)
        beside_grid = [np.full(max(0, n - (columns if k < rows else 0)), k) for k, n in enumerate(counts)]
        extra = np.concatenate(beside_grid)
        in_shares = np.concatenate([places < np.asarray(counts)[grid_labels], np.ones(len(extra), bool)])
        return cls(np.concatenate([grid_labels, extra]).astype(np.int64), in_shares, grid, columns)

    @classmethod
    def affordable(cls, shares: Sequence[float], measured: int, number: float) -> "EvaluationSamples":
        """The same where only about ``number`` can be sampled: fewer are measured, and the grid has fewer columns."""
        columns = min(COLUMNS, max(MIN_COLUMNS, int(number // _rows(shares))))
        return cls.of(shares, int(min(measured, max(number, 1))), columns)

    @property
    def seeds(self) -> range:
        """Of the pictures."""
        return range(len(self.labels))


class SampleGrids:
    """The grids of a run by pictures seen, in memory and in ``samples/`` of its folder.

    Parameters
    ----------
    folder
        The artefact's; None: they are kept in memory only.
    seen_pictures
        Where the run begins or continues: grids of later moments, from before a kill, are deleted.
    model_folder, seen_before
        Of the model that the run extends, and the pictures that it has seen before; its grids come first.
    """

    def __init__(
        self, folder: Path | None, seen_pictures: int, model_folder: Path | None = None, seen_before: int = 0
    ) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._seen_before = seen_before
        self.grids: dict[int, bytes] = {}
        if model_folder is not None:
            self.grids = {n: read_file(path) for n, path in _saved(model_folder / FOLDER) if n <= seen_before}
        for number, path in _saved(self._folder) if self._folder else []:
            if number > seen_before + seen_pictures:
                path.unlink()
            else:
                self.grids[number] = read_file(path)

    def add(self, grid: bytes, seen_pictures: int) -> None:
        """Add the grid of one moment of the run."""
        seen_pictures += self._seen_before
        self.grids[seen_pictures] = grid
        if self._folder is not None:
            write_bytes(self._folder / f"{seen_pictures:09d}.png", grid)

    def frames(self) -> dict[str, bytes]:
        """At most a dozen by caption, the first and the last among them, small enough for a page."""
        moments = sorted(self.grids)
        places = np.linspace(0, len(moments) - 1, MAX_FRAMES if moments else 0)
        chosen = sorted({moments[round(place)] for place in places})
        return {f"{moment:,} pictures seen": _frame(self.grids[moment]) for moment in chosen}


def _saved(folder: Path) -> list[tuple[int, Path]]:
    """The grids in a folder, by pictures seen."""
    return [(int(path.stem), path) for path in sorted(folder.glob("[0-9]*.png")) if path.stem.isdigit()]


def sample_grid(pixels: Tensor, generated: Generated | None, columns: int = COLUMNS) -> bytes:
    """Pictures (N, 3, S, S) uint8 as a grid, a PNG marked with what they are ``generated`` by."""
    return figures.grid(pixels.permute(0, 2, 3, 1).numpy(), columns, generated)


def real_grid(prepared: PreparedData) -> bytes:
    """Training pictures laid out as the samples are, a row for each class, a PNG."""
    images, rng = prepared.training, np.random.default_rng(0)
    of_rows = [images.labels == k for k in range(min(len(prepared.classes), MAX_CLASS_ROWS))]
    if of_rows:
        rows = np.concatenate([np.resize(rng.permutation(np.flatnonzero(row)), COLUMNS) for row in of_rows])
    else:
        rows = rng.permutation(len(images))[: COLUMNS * ROWS_WITHOUT_CLASSES]
    return sample_grid(images[rows].pixels(prepared.size, GEOMETRY), sheet_facts(images, rows))


def _frame(png: bytes) -> bytes:
    """A grid as a frame: on white, not too large, in the shorter of two formats."""
    with Image.open(io.BytesIO(png)) as opened:
        sheet = opened.convert("RGBA")
    page = Image.new("RGBA", sheet.size, "white")
    page.alpha_composite(sheet)
    page.thumbnail((MAX_FRAME_SIDE, MAX_FRAME_SIDE))
    return figures.picture(np.asarray(page.convert("RGB")), told_by(png) or Generated("synthetic"))


def _rows(shares: Sequence[float]) -> int:
    """Of a grid."""
    return min(len(shares), MAX_CLASS_ROWS) or ROWS_WITHOUT_CLASSES


def _counts(shares: Sequence[float], n: int) -> list[int]:
    """``n`` in whole parts as near to the shares as possible (the largest remainders are rounded up)."""
    exact = np.asarray(shares) * n / np.sum(shares)
    whole = np.floor(exact).astype(int)
    for k in np.argsort(whole - exact, kind="stable")[: n - int(whole.sum())]:
        whole[k] += 1
    return [int(k) for k in whole]
