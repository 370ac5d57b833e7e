"""Cells: the pictures of one class in one group, which remedies treat alike however many there are."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.messages import join_names
from diptych.errors import DataError, UsageError

MAX_GROUPS = 20  # values of the column
MIN_PICTURES = 4  # in a cell: some to train on, and some to refit the last layer on
HELD_OUT_SHARE = 0.25  # of the pictures, as far as every cell can give as many; half of a rare one
MAX_NAMES = 4
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """A division of N labelled pictures by class and group; only what occurs is a cell.

    Attributes
    ----------
    numbers
        (N,) the cell of each picture, 0..C-1.
    labels
        (C,) the class of each cell.
    names
        (C,) such as "cat where camera is phone".
    """

    numbers: Numbers
    labels: Numbers
    names: tuple[str, ...]

    @classmethod
    def of(cls, images: Images, column: str) -> "Cells":
        """The cells of single-label pictures by a metadata column that they have."""
        values = images.groups[column].astype(np.str_)
        names, groups = np.unique(values, return_inverse=True)
        cells, numbers = np.unique(images.labels * len(names) + groups, return_inverse=True)
        labels, of_group = np.divmod(cells, len(names))
        words = [f"{images.classes[c]} where {column} is {names[g]}" for c, g in zip(labels, of_group, strict=True)]
        return cls(numbers.astype(np.int64), labels.astype(np.int64), tuple(words))

    @property
    def counts(self) -> Numbers:
        """(C,) pictures of each cell."""
        return np.bincount(self.numbers, minlength=len(self.names))

    def rows(self, rows: Numbers) -> "Cells":
        """The cells of the pictures in these rows."""
        return replace(self, numbers=self.numbers[rows])

    def hold_out(self, seed: int) -> tuple[Numbers, Numbers]:
        """Rows to train on, and rows held out for the last layer: as many of each cell as it can give, half at most."""
        draw, counts = np.random.default_rng(seed), self.counts
        most = int(np.ceil(HELD_OUT_SHARE * len(self.numbers) / len(counts)))
        held_out = np.sort(
            np.concatenate(
                [
                    draw.permutation(np.flatnonzero(self.numbers == cell))[: min(most, count // 2)]
                    for cell, count in enumerate(counts.tolist())
                ]
            )
        )
        return np.setdiff1d(np.arange(len(self.numbers)), held_out), held_out


def check_column(images: Images, column: str) -> None:
    """Refuse pictures that no remedy can be applied to.

    Raises
    ------
    UsageError
        They have no such column, too many values in it, only one, or several labels each.
    DataError
        A cell has too few pictures.
    """
    if images.multi_label:
        raise UsageError("Remedies are for pictures of one label each. Leave group and remedy out.")
    if column not in images.groups:
        there = join_names(list(images.groups), 8) or "none"
        raise UsageError(
            f"The pictures have no column {column!r} to make groups of. Their columns are: {there}. Columns come from "
            "a metadata.csv beside the pictures, or from a Parquet file."
        )
    count = len(np.unique(images.groups[column].astype(np.str_)))
    if not 2 <= count <= MAX_GROUPS:
        raise UsageError(
            f"The column {column!r} has {count:,} different values; a remedy needs 2 to {MAX_GROUPS} groups."
        )
    cells = Cells.of(images, column)
    small = [name for name, n in zip(cells.names, cells.counts.tolist(), strict=True) if n < MIN_PICTURES]
    if small:
        raise DataError(
            f"There are fewer than {MIN_PICTURES} pictures of {join_names(small, MAX_NAMES)}; a remedy needs so "
            "many of each class in each group, or none. Add some, or leave those out."
        )
