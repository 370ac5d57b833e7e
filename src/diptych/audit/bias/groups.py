"""Groups of pictures: the values of metadata columns, and of two columns at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.messages import join_names
from diptych.errors import UsageError

MAX_VALUES = 20  # of a column; one with more identifies pictures rather than groups
MAX_CROSSED = 60  # cells of two columns at once
NO_VALUE = "(none)"
CROSSED = " × "


@dataclass(frozen=True)
class Grouping:
    """A division of N pictures into groups.

    Attributes
    ----------
    name
        The column, or two columns with "×" between.
    values
        The G groups, in order; one of two columns may be empty.
    numbers
        (N,) the group of each picture, 0..G-1.
    """

    name: str
    values: tuple[str, ...]
    numbers: NDArray[np.int64]

    def rows(self, number: int) -> NDArray[np.bool_]:
        """(N,) which pictures are in a group."""
        return np.asarray(self.numbers == number)

    @property
    def crossed(self) -> bool:
        """Whether it is of two columns."""
        return CROSSED in self.name


def groupings(images: Images, columns: Sequence[str] | None) -> list[Grouping]:
    """The groups of each column, then those of each two.

    Parameters
    ----------
    columns
        Names of metadata columns; ``None``: every column with 2 to 20 values.

    Raises
    ------
    UsageError
        There is no such column, or it has too many values.
    """
    if columns is None:
        single = [_grouping(images, name) for name in images.groups if 2 <= _values(images, name) <= MAX_VALUES]
    else:
        single = [_grouping(images, name) for name in _checked(images, columns)]
    crossed = [_cross(one, other) for one, other in combinations(single, 2)]
    return single + [grouping for grouping in crossed if len(grouping.values) <= MAX_CROSSED]


def _checked(images: Images, columns: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(columns))
    for name in names:
        if name not in images.groups:
            there = join_names(list(images.groups), 8) or "none"
            raise UsageError(
                f"The pictures have no column {name!r}. Their columns are: {there}. Columns come from a metadata.csv "
                "beside the pictures, or from a Parquet file."
            )
        count = _values(images, name)
        if count > MAX_VALUES:
            raise UsageError(
                f"The column {name!r} has {count:,} different values; groups need at most {MAX_VALUES}. Put ranges of "
                "it into a column of their own, such as 0–29, 30–59, 60 and over."
            )
    return names


def _values(images: Images, name: str) -> int:
    return len(np.unique(images.groups[name].astype(np.str_)))


def _grouping(images: Images, name: str) -> Grouping:
    values, numbers = np.unique(images.groups[name].astype(np.str_), return_inverse=True)
    return Grouping(name, tuple(value or NO_VALUE for value in values.tolist()), numbers.astype(np.int64))


def _cross(one: Grouping, other: Grouping) -> Grouping:
    values = tuple(f"{a}{CROSSED}{b}" for a in one.values for b in other.values)
    return Grouping(f"{one.name}{CROSSED}{other.name}", values, one.numbers * len(other.values) + other.numbers)
