"""The names of many pictures as one Arrow column: a Python string is made only of those that are asked for."""

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
            shard = int(np.searchsorted(self._starts, row, side="right")) - 1
            return f"{self._shards[shard]}#{self._names[row].as_py()}"
        own = np.arange(len(self), dtype=np.int64) if self._rows is None else self._rows
        return PathColumn(self._shards, self._starts, self._names, own[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.str_]:
        """(N,) all names as an array of strings."""
        rows = np.arange(len(self), dtype=np.int64) if self._rows is None else self._rows
        shards = (np.searchsorted(self._starts, rows, side="right") - 1).tolist()
        names = self._names.take(rows).to_pylist()
        paths = [f"{self._shards[shard]}#{name}" for shard, name in zip(shards, names, strict=True)]
        return np.array(paths, np.str_)
