"""Exact and indexed search, against similarities computed here."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F

from diptych.recognition.gallery.search import Search
from diptych.recognition.gallery.table import PictureTable, metadata_column, vector_array

ROWS, DIMENSIONS = 3000, 16


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    """Clustered vectors of unit length."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(40, DIMENSIONS, generator=generator)
    noise = torch.randn(ROWS, DIMENSIONS, generator=generator)
    return F.normalize(centres[torch.arange(ROWS) % 40] + 0.5 * noise, dim=1)


@pytest.fixture(scope="module")
def table(vectors: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> PictureTable:
    table = PictureTable(str(tmp_path_factory.mktemp("database")), "pictures", DIMENSIONS)
    for start in range(0, ROWS, 1000):
        rows = range(start, start + 1000)
        columns = {
            "id": pa.array([f"{row:016x}" for row in rows]),
            "label": pa.array([str(row % 40) for row in rows]),
            "path": pa.array([f"{row}.png" for row in rows]),
            "embedding": vector_array(vectors[start : start + 1000]),
            metadata_column("parity"): pa.array(["rare" if row % 500 == 0 else "common" for row in rows]),
        }
        table.add(pa.table(columns))
    table.create_index()
    return table


def expected_ids(vectors: torch.Tensor, queries: torch.Tensor, k: int, rows: np.ndarray) -> list[list[str]]:
    order = (queries @ vectors[rows].T).argsort(1, descending=True)[:, :k]
    return [[f"{rows[i]:016x}" for i in near.tolist()] for near in order]


@pytest.mark.parametrize("max_exact_rows", [ROWS, 0], ids=["exact", "index"])
def test_the_nearest_are_found(table: PictureTable, vectors: torch.Tensor, max_exact_rows: int) -> None:
    queries = F.normalize(vectors[:50] + 0.1, dim=1)
    near = Search(table, max_exact_rows).nearest(queries, 10)
    expected = expected_ids(vectors, queries, 10, np.arange(ROWS))
    shared = [len(set(ids) & set(right)) for ids, right in zip(near.ids.tolist(), expected, strict=True)]
    assert np.mean(shared) / 10 >= (1.0 if max_exact_rows else 0.97)
    assert near.labels[0, 0] == str(int(near.ids[0, 0], 16) % 40)
    similarity = queries[0] @ vectors[int(near.ids[0, 0], 16)]
    assert near.similarities[0, 0] == pytest.approx(float(similarity), abs=1e-4)


@pytest.mark.parametrize("count", [0, 1, 300])
def test_queries_together_get_the_answers_that_each_gets_alone(
    table: PictureTable, vectors: torch.Tensor, count: int
) -> None:
    search, queries = Search(table, 0), F.normalize(vectors[:count] + 0.1, dim=1)
    near = search.nearest(queries, 5)
    assert len(near.ids) == count
    assert (np.diff(near.similarities, axis=1) <= 1e-6).all()
    for row in range(0, count, 50):
        assert near.ids[row].tolist() == search.nearest(queries[row : row + 1], 5).ids[0].tolist()


@pytest.mark.parametrize("max_exact_rows", [ROWS, 0], ids=["exact", "index"])
@pytest.mark.parametrize("parity", ["rare", "common"])
def test_a_filtered_answer_is_exact(
    table: PictureTable, vectors: torch.Tensor, max_exact_rows: int, parity: str
) -> None:
    kept = np.array([row for row in range(ROWS) if (row % 500 == 0) == (parity == "rare")])
    queries = vectors[:20]
    near = Search(table, max_exact_rows).nearest(queries, 10, {"parity": parity})
    assert near.ids.tolist() == expected_ids(vectors, queries, 10, kept)


def test_rows_added_later_are_found_by_the_index_too(table: PictureTable, vectors: torch.Tensor) -> None:
    vector = F.normalize(torch.full((1, DIMENSIONS), -1.0), dim=1)
    text = {name: pa.array(["new"]) for name in ("id", "label", "path")}
    table.add(pa.table({**text, "embedding": vector_array(vector)}))
    assert Search(table, 0).nearest(vector, 1).ids.tolist() == [["new"]]


def test_more_neighbours_than_rows(tmp_path) -> None:
    table = PictureTable(str(tmp_path), "pictures", 2)
    search = Search(table, 10)
    assert search.nearest(torch.eye(2), 5).ids.shape == (2, 0)
    text = {name: pa.array(["a", "b"]) for name in ("id", "label", "path")}
    table.add(pa.table({**text, "embedding": vector_array(torch.eye(2))}))
    assert search.nearest(torch.eye(2), 5).ids.tolist() == [["a", "b"], ["b", "a"]]
