import csv
import io
from pathlib import Path

import pytest

from diptych.cli import prediction_rows
from diptych.cli.prediction_rows import RowWriter
from diptych.errors import UsageError

PREDICTION = {"label": "cat", "confidence": 0.61, "probabilities": {}, "unknown": False}
ROWS = [
    {"path": "certain.png", **PREDICTION, "set": ["cat"]},
    {"path": "ambiguous.png", **PREDICTION, "set": ["cat", "dog", "fox", "owl", "elk"]},
    {"path": "odd.png", **PREDICTION, "unknown": True, "set": ["cat", "dog"]},
    {"path": "old.png", **PREDICTION},
    {"path": "both.png", **PREDICTION, "label": ["cat", "dog"], "set": ["cat", "dog", "owl"]},
    {"path": "gone.png", "error": "it is not there"},
]


def test_a_table_is_aligned_under_a_header_and_names_the_other_labels_of_the_prediction_set() -> None:
    stream = io.StringIO()
    write = prediction_rows._as_table(stream)
    write(ROWS[:3])
    write(ROWS[3:])
    assert stream.getvalue().splitlines() == [
        "path           label  confidence  note",
        "certain.png    cat          61 %",
        "ambiguous.png  cat          61 %  or dog, fox, owl and 1 more",
        "odd.png        cat          61 %  unknown: unlike the training pictures, or dog",
        "old.png        cat            61 %",
        "both.png       cat;dog        61 %  or owl",
        "gone.png                            it is not there",
    ]


def test_a_table_shows_confidence_in_percent_and_tabs_the_number() -> None:
    table, tabs = io.StringIO(), io.StringIO()
    rows = [{"path": "a.png", **PREDICTION, "confidence": confidence} for confidence in (0.6310, 0.0712, 1.0)]
    prediction_rows._as_table(table)(rows)
    prediction_rows._as_tabs(tabs)(rows)
    lines = table.getvalue().splitlines()[1:]
    assert [line.split("cat")[1].strip() for line in lines] == ["63 %", "7 %", "100 %"]
    assert len({len(line) for line in lines}) == 1, "the percentages are aligned"
    assert [line.split("\t") for line in tabs.getvalue().splitlines()] == [
        ["path", "label", "confidence", "note"],
        ["a.png", "cat", "0.6310"],
        ["a.png", "cat", "0.0712"],
        ["a.png", "cat", "1.0000"],
    ]


def test_csv_has_a_column_for_the_prediction_set(tmp_path: Path) -> None:
    writer = RowWriter(as_json=False, file=None, csv_file=tmp_path / "rows.csv")
    writer.add(ROWS)
    writer.close()
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "confidence", "unknown", "error", "set"]
    assert [row["set"] for row in rows] == ["cat", "cat;dog;fox;owl;elk", "cat;dog", "", "cat;dog;owl", ""]
    assert [row["error"] for row in rows][-1] == "it is not there"


def test_a_suffix_without_a_known_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="suffix"):
        RowWriter(as_json=False, file=tmp_path / "rows.xyz", csv_file=None)


def test_rows_written_before_a_stop_stay_in_the_part_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    writer = RowWriter(as_json=False, file=path, csv_file=None)
    writer.add(ROWS[:2])
    assert not path.exists()
    assert len((tmp_path / "rows.tsv.part").read_text().splitlines()) == 3  # a header, too
    writer.close()
    assert [file.name for file in tmp_path.iterdir()] == ["rows.tsv"]


def test_a_folder_and_two_formats_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        RowWriter(as_json=False, file=None, csv_file=tmp_path / "a.csv")
    with pytest.raises(UsageError, match="not both"):
        RowWriter(as_json=True, file=None, csv_file=tmp_path / "b.csv")
