import csv
import io
from pathlib import Path

import pytest

from diptych.cli import prediction_rows
from diptych.cli.prediction_rows import RowWriter
from diptych.errors import UsageError

TOLD = {"label": "cat", "confidence": 0.61, "probabilities": {}, "unknown": False}
SOME = [
    {"path": "sure.png", **TOLD, "set": ["cat"]},
    {"path": "torn.png", **TOLD, "set": ["cat", "dog", "fox", "owl", "elk"]},
    {"path": "odd.png", **TOLD, "unknown": True, "set": ["cat", "dog"]},
    {"path": "old.png", **TOLD},
    {"path": "both.png", **TOLD, "label": ["cat", "dog"], "set": ["cat", "dog", "owl"]},
    {"path": "gone.png", "error": "it is not there"},
]


def test_a_table_says_what_else_it_may_be() -> None:
    stream = io.StringIO()
    write = prediction_rows._as_table(stream)
    for row in SOME:
        write(row)
    sure, torn, odd, old, both, gone = (" ".join(line.split()) for line in stream.getvalue().splitlines())
    assert sure == "sure.png cat 0.6100"
    assert torn == "torn.png cat 0.6100 (or dog, fox, owl and 1 more)"
    assert odd == "odd.png cat 0.6100 (or dog) (unlike the training pictures)"
    assert old == "old.png cat 0.6100"
    assert both == "both.png cat;dog 0.6100 (or owl)"
    assert gone == "gone.png it is not there"


def test_csv_has_a_column_for_the_set(tmp_path: Path) -> None:
    target = RowWriter(as_json=False, file=None, csv_file=tmp_path / "told.csv")
    target.add(SOME)
    target.close()
    with (tmp_path / "told.csv").open(newline="") as file:
        told = list(csv.DictReader(file))
    assert list(told[0]) == ["path", "label", "confidence", "unknown", "error", "set"]
    assert [row["set"] for row in told] == ["cat", "cat;dog;fox;owl;elk", "cat;dog", "", "cat;dog;owl", ""]
    assert [row["error"] for row in told][-1] == "it is not there"


def test_a_suffix_that_names_no_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="suffix"):
        RowWriter(as_json=False, file=tmp_path / "told.xyz", csv_file=None)


def test_what_was_told_before_a_stop_is_kept(tmp_path: Path) -> None:
    told = tmp_path / "told.tsv"
    target = RowWriter(as_json=False, file=told, csv_file=None)
    target.add(SOME[:2])
    assert not told.exists()
    assert len((tmp_path / "told.tsv.part").read_text().splitlines()) == 2
    target.close()
    assert [path.name for path in tmp_path.iterdir()] == ["told.tsv"]


def test_a_folder_and_two_formats_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        RowWriter(as_json=False, file=None, csv_file=tmp_path / "a.csv")
    with pytest.raises(UsageError, match="not both"):
        RowWriter(as_json=True, file=None, csv_file=tmp_path / "b.csv")
