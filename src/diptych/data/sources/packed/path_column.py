"""The names of many pictures as one Arrow column: a Python string is made only of those that are asked for."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


class PathColumn(Sequence[str]):
    """A name for each picture, "shards/shard-00000.tar#cats/1.jpg", in about as many bytes as the text has.

    Parameters
    ----------
    shards
        The path of each shard.
    starts
        (shards + 1,) the number of the first picture of each shard, and of all.
    names
        Arrow array with the name of each picture in its shard.
    rows
        (N,) the pictures that this column is of; ``None``: all of them.
    """

    def __init__(
        self, shards: Sequence[str], starts: NDArray[np.int64], names: Any, rows: NDArray[np.int64] | None = None
    ) -> None:
        self._shards, self._starts, self._names, self._rows = shards, starts, names, rows
        self._first: list[int] = starts.tolist()  # which a list finds sooner than an array, for one row

    def __len__(self) -> int:
        return len(self._names) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, rows: int) -> str: ...
    @overload
    def __getitem__(self, rows: Any) -> Any: ...

    def __getitem__(self, rows: Any) -> Any:
        """A name by its number; a column of those that a slice, a mask or an array of numbers stands for."""
        if isinstance(rows, int | np.integer):
            row = int(rows if self._rows is None else self._rows[rows])
            shard = bisect_right(self._first, row) - 1
            return f"{self._shards[shard]}#{self._names[row].as_py()}"
        own = _numbers(rows, len(self)) if self._rows is None else self._rows[rows]
        return PathColumn(self._shards, self._starts, self._names, own)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.str_]:
        """(N,) all names as an array of strings."""
        rows = np.arange(len(self), dtype=np.int64) if self._rows is None else self._rows
        shards = (np.searchsorted(self._starts, rows, side="right") - 1).tolist()
        names = self._names.take(rows).to_pylist()
        paths = [f"{self._shards[shard]}#{name}" for shard, name in zip(shards, names, strict=True)]
        return np.array(paths, np.str_)


def _numbers(rows: Any, total: int) -> NDArray[np.int64]:
    """The numbers that a slice, a mask or an array of numbers stands for, in the time that these few take."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(total), dtype=np.int64)
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        return np.flatnonzero(chosen)
    chosen = chosen.astype(np.int64)
    return np.where(chosen < 0, chosen + total, chosen)
