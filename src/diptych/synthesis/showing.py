"""Sample grids with fixed seeds, saved as a run goes on, so that a person sees the pictures form."""

import time
from pathlib import Path

import numpy as np

from diptych.files import write_bytes
from diptych.report import figures
from diptych.synthesis.model import Model

COLUMNS, MOST_CLASSES, ROWS_WITHOUT_CLASSES = 8, 10, 4
TIME_SHARE = 0.05  # of the run at most goes into grids


class Showing:
    """Draws the same seeds again and again: a row for each class, or four rows if there are none.

    Parameters
    ----------
    model
        In training; it is drawn from as it is when :meth:`show` is called.
    folder
        The artefact's folder; grids go to ``samples/`` in it, named by the pictures seen. None: none are kept.
    """

    def __init__(self, model: Model, folder: Path | None) -> None:
        self.model, self.folder = model, folder
        rows = min(len(model.classes_), MOST_CLASSES) or ROWS_WITHOUT_CLASSES
        self._seeds = range(rows * COLUMNS)
        first = -1 if not model.classes_ else 0
        self._labels = np.repeat(np.arange(rows) if first == 0 else np.full(rows, -1), COLUMNS).astype(np.int64)
        self._next, self._cost = 0.0, 0.0

    def show(self, seen_pictures: int) -> None:
        """Save a grid, unless the last one was so recent that grids would slow the run down."""
        if self.folder is None or time.monotonic() < self._next:
            return
        start = time.monotonic()
        self.save(self.draw(), seen_pictures)
        end = time.monotonic()
        self._next = end + (end - start) / TIME_SHARE

    def draw(self) -> bytes:
        """The grid as a PNG."""
        pixels = self.model._pictures(self._seeds, self._labels)
        return figures.grid(pixels.permute(0, 2, 3, 1).numpy(), COLUMNS)

    def save(self, png: bytes, seen_pictures: int) -> None:
        """Keep a grid in the folder, if there is one."""
        if self.folder is not None:
            write_bytes(self.folder / "samples" / f"{seen_pictures:09d}.png", png)
