"""Nearest neighbours in a table of pictures: exactly, by one matrix product, or by the index of a large table.

By numpy, whose products are twice as fast as torch's on processors that are not Intel's, and which a server has in any
case.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diptych.errors import ArtefactError
from diptych.recognition.gallery.table import Filter, PictureTable, matrix

MAX_PRODUCT = 1 << 25  # similarities computed at a time: 128 MiB
EF = 128  # candidates that the index keeps while it searches, at least
MAX_INDEXED = 256  # queries that the index answers in one call
ATTEMPTS = 3  # at reading a version, which another process may be deleting
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """The k rows nearest to each of Q vectors, nearest first; k is the number of rows where there are fewer.

    Attributes
    ----------
    ids, labels, paths
        (Q, k) of the rows.
    similarities
        (Q, k) float32 cosine similarities, -1..1.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    paths: NDArray[np.str_]
    similarities: NDArray[np.float32]


@dataclass(frozen=True)
class Snapshot:
    """One version of a table, in memory.

    Attributes
    ----------
    version
        Its number.
    ids, labels, paths
        (N,) of the rows.
    vectors
        (N, d) float32 of unit length.
    """

    version: int
    ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    paths: NDArray[np.str_]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def read(cls, table: PictureTable) -> "Snapshot":
        """The newest version of a table."""
        for attempt in range(ATTEMPTS):
            version = table.refresh()
            try:
                return cls._read(table, version)
            except Exception:
                if attempt == ATTEMPTS - 1 or table.refresh() == version:
                    raise
        raise AssertionError

    @classmethod
    def _read(cls, table: PictureTable, version: int) -> "Snapshot":
        texts: dict[str, list[str]] = {"id": [], "label": [], "path": []}
        vectors = []
        for batch in table.scan(["id", "label", "path", table.vector_column]):
            for name, values in texts.items():
                values += batch.column(name).to_pylist()
            vectors.append(matrix(batch.column(table.vector_column)))
        ids, labels, paths = (np.array(texts[name], np.str_) for name in ("id", "label", "path"))
        matrix_of_all = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
        if not np.isfinite(matrix_of_all.sum(1)).all():
            raise ArtefactError(
                f"The table {table.name} at {table.uri} is damaged: vectors in it are no numbers. "
                "Restore it from a copy."
            )
        return cls(version, ids, labels, paths, matrix_of_all)

    def nearest(self, queries: Vectors, k: int, rows: NDArray[np.int64] | None = None) -> Neighbours:
        """The nearest of all rows, or of these, to (Q, d) vectors of unit length."""
        vectors = self.vectors if rows is None else self.vectors[rows]
        similarities, positions = nearest_rows(vectors, queries, k)
        found = positions if rows is None else rows[positions]
        return Neighbours(self.ids[found], self.labels[found], self.paths[found], similarities)


class Search:
    """Searches a table.

    Parameters
    ----------
    max_exact_rows
        Up to so many rows the vectors are kept in memory and searched exactly; above it the index is asked.
    """

    def __init__(self, table: PictureTable, max_exact_rows: int) -> None:
        self._table = table
        self._max_exact_rows = max_exact_rows
        self._snapshot: Snapshot | None = None
        self._rows = self._counted = -1  # how many rows there are, in which version

    def snapshot(self) -> Snapshot:
        """The newest version, from memory where that is in it."""
        return self._snapshot_of(self._table.refresh())

    def _snapshot_of(self, version: int) -> Snapshot:
        if self._snapshot is None or self._snapshot.version != version:
            self._snapshot = None  # or there would be two in memory
            self._snapshot = Snapshot.read(self._table)
        return self._snapshot

    def nearest(self, vectors: ArrayLike, k: int, where: Filter | None = None) -> Neighbours:
        """The rows nearest to (Q, d) vectors of unit length, of all rows or of those that a filter picks.

        A filtered answer is always exact: an index may find none of few rows among many.
        """
        queries: Vectors = np.asarray(vectors, np.float32)
        version = self._table.refresh()
        if version != self._counted:
            self._rows, self._counted = len(self._table), version
        if self._rows <= self._max_exact_rows:
            snapshot = self._snapshot_of(version)
            return snapshot.nearest(queries, k, self._picked(snapshot, where) if where else None)
        if where:
            return self._scanned(queries, k, self._table.condition(where))
        return self._indexed(queries, k) if self._table.has_index else self._scanned(queries, k, "true")

    def _picked(self, snapshot: Snapshot, where: Filter) -> NDArray[np.int64]:
        """The rows of the snapshot that a filter picks."""
        batches = self._table.scan(["id"], self._table.condition(where))
        picked = [name for batch in batches for name in batch.column("id").to_pylist()]
        return np.flatnonzero(np.isin(snapshot.ids, np.array(picked, np.str_)))

    def _scanned(self, queries: Vectors, k: int, condition: str) -> Neighbours:
        """The nearest of the rows that a condition picks, read from the disk batch by batch."""
        best: list[list[tuple[float, str, str, str]]] = [[] for _ in queries]
        for batch in self._table.scan(["id", "label", "path", self._table.vector_column], condition):
            vectors = matrix(batch.column(self._table.vector_column))
            similarities, rows = nearest_rows(vectors, queries, k)
            ids, labels, paths = (batch.column(name).to_pylist() for name in ("id", "label", "path"))
            for i, (values, positions) in enumerate(zip(similarities.tolist(), rows.tolist(), strict=True)):
                new = [(v, ids[p], labels[p], paths[p]) for v, p in zip(values, positions, strict=True)]
                best[i] = sorted([*best[i], *new], key=lambda row: -row[0])[:k]
        return _neighbours(best)

    def _indexed(self, queries: Vectors, k: int) -> Neighbours:
        best: list[list[tuple[float, str, str, str]]] = [[] for _ in queries]
        for start in range(0, len(queries), MAX_INDEXED):
            rows = self._table.nearest(queries[start : start + MAX_INDEXED], k, max(EF, 2 * k))
            columns = [rows.column(name).to_pylist() for name in ("_distance", "id", "label", "path")]
            # Of one query LanceDB gives no index.
            one = "query_index" not in rows.column_names
            numbers = [0] * len(rows) if one else rows.column("query_index").to_pylist()
            for query, distance, *texts in zip(numbers, *columns, strict=True):  # nearest first for each query
                best[start + query].append((1 - distance, *texts))
        if any(len(rows) < min(k, len(self._table)) for rows in best):
            return self._scanned(queries, k, "true")
        return _neighbours(best)


def nearest_rows(vectors: Vectors, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
    """(Q, k) similarities and positions of the (N, d) vectors nearest to (Q, d) queries; all of unit length."""
    k = min(k, len(vectors))
    similarities, positions = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    if k == 0:
        return similarities, positions
    step = max(1, MAX_PRODUCT // len(vectors))
    for start in range(0, len(queries), step):
        products = queries[start : start + step] @ vectors.T
        best = np.argpartition(products, len(vectors) - k, axis=1)[:, len(vectors) - k :]
        values = np.take_along_axis(products, best, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        positions[start : start + step] = np.take_along_axis(best, order, 1)
        similarities[start : start + step] = np.take_along_axis(values, order, 1)
    return similarities.clip(-1, 1), positions


def _neighbours(best: list[list[Any]]) -> Neighbours:
    columns = [[[row[column] for row in rows] for rows in best] for column in range(4)]
    shape = (len(best), len(best[0]) if best else 0)
    similarities = np.array(columns[0], np.float32).reshape(shape)
    ids, labels, paths = (np.array(texts, np.str_).reshape(shape) for texts in columns[1:])
    return Neighbours(ids, labels, paths, similarities)
