import numpy as np
import pytest

from diptych.cluster.results import ResultFolder, packed, unpacked

RESULT = {
    "rows": np.arange(6, dtype=np.float32).reshape(2, 3),
    "flags": np.array([True, False]),
    "pictures": [b"\x00\xff", b""],
    "names": ["katze", "猫"],
    "reasons": [[1, "too short"]],
    "sets": None,
}
ROWS = range(256, 512)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> ResultFolder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return ResultFolder({"job": "embedding", "pictures": "0a"})


def test_a_result_comes_back_as_it_was_written(folder):
    folder.write(ROWS, packed(RESULT))
    result = folder.read(ROWS)
    assert result is not None
    assert {name: value for name, value in result.items() if name not in ("rows", "flags")} == {
        name: value for name, value in RESULT.items() if name not in ("rows", "flags")
    }
    for name in ("rows", "flags"):
        np.testing.assert_array_equal(result[name], RESULT[name], strict=True)


def test_a_result_that_is_not_there_is_none(folder):
    assert not folder.has(ROWS)
    assert folder.read(ROWS) is None


def test_results_of_another_request_are_not_taken(folder, tmp_path):
    folder.write(ROWS, packed(RESULT))
    other = ResultFolder({"job": "embedding", "pictures": "0b"})
    assert not other.has(ROWS)


@pytest.mark.parametrize("change", [lambda whole: whole[:-1], lambda whole: whole[:40] + b"\x00" + whole[41:]])
def test_a_damaged_result_is_none_and_deleted_so_that_it_is_computed_again(folder, tmp_path, change):
    folder.write(ROWS, packed(RESULT))
    (file,) = tmp_path.rglob("*.job")
    file.write_bytes(change(file.read_bytes()))
    assert folder.read(ROWS) is None
    assert not folder.has(ROWS)


def test_objects_are_not_packed():
    with pytest.raises(NotImplementedError):
        packed({"rows": np.array([object()])})
    assert unpacked(b"") is None


def test_removing_leaves_the_results_of_others(folder):
    other = ResultFolder({"job": "embedding", "pictures": "0b"})
    for one in (folder, other):
        one.write(ROWS, packed(RESULT))
    folder.remove()
    assert (folder.has(ROWS), other.has(ROWS)) == (False, True)
