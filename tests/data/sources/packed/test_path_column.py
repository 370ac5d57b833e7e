import pickle

import numpy as np
import pyarrow as pa
import pytest

from diptych.data.sources.packed.path_column import PathColumn

NAMES = ["a/1.jpg", "b/2.jpg", "日本/3.jpg", "a/4.jpg", "c/5.jpg"]
PATHS = [f"shards/{'first' if i < 2 else 'second'}.tar#{name}" for i, name in enumerate(NAMES)]


@pytest.fixture
def column() -> PathColumn:
    names = pa.array(NAMES, pa.large_string())
    return PathColumn(["shards/first.tar", "shards/second.tar"], np.array([0, 2, 5]), names)


def test_a_name_is_that_of_its_shard_and_picture(column):
    assert [column[i] for i in range(5)] == PATHS
    assert np.asarray(column).tolist() == PATHS


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 4),
        slice(None, None, -2),
        slice(-2, None),
        slice(3, 3),
        [4, 0, 0],
        np.array([-1, 2]),
        np.array([], np.int64),
        np.array([True, False, False, True, True]),
    ],
)
def test_a_part_is_what_numpy_takes_and_so_is_a_part_of_it(column, rows):
    expected = np.array(PATHS)[rows]
    part = column[rows]
    assert len(part) == len(expected)
    assert np.asarray(part).tolist() == expected.tolist()
    assert np.asarray(part[::-1]).tolist() == expected[::-1].tolist()


def test_it_travels_to_another_process(column):
    assert np.asarray(pickle.loads(pickle.dumps(column[1:]))).tolist() == PATHS[1:]
