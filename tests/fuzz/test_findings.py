"""What fuzzing has found stays mended, and the files that it starts from are good ones.

``make fuzz`` puts an input for each place that failed into findings/READER/.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
FINDINGS = sorted(path for path in (HERE / "findings").glob("*/*"))
WITHOUT_MODEL = ("picture", "metadata-csv", "annotations", "npz", "tar", "tar-gz", "zip", "parquet", "arrow")


@pytest.fixture(scope="module")
def fuzz() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        yield {name: importlib.import_module(name) for name in ("targets", "watching")}


def read(fuzz: dict[str, ModuleType], name: str, folder: Path, *contents: bytes) -> list[Any]:
    """What becomes of each of these files, read one after the other in the same folder."""
    target, inside = fuzz["targets"].TARGETS[name], folder / "room"
    inside.mkdir()
    target.prepare(inside)
    return [fuzz["watching"].try_input(target, inside, content) for content in contents]


@pytest.mark.filterwarnings("ignore")  # as in the command line
@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_file_that_once_broke_a_reader_is_read_or_refused(fuzz, path, tmp_path):
    name = path.parent.name
    first = fuzz["targets"].TARGETS[name].seeds()[0]  # whose seconds are also those of the imports
    _, outcome = read(fuzz, name, tmp_path, first, path.read_bytes())
    assert not outcome.finding, outcome.text


@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_fuzzing_starts_from_files_that_are_read(fuzz, name, tmp_path):
    outcomes = read(fuzz, name, tmp_path, *fuzz["targets"].TARGETS[name].seeds())
    assert [outcome.text for outcome in outcomes if outcome.text] == []
