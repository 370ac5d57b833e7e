import io
import json

import pytest

from diptych.cli import console
from diptych.cli.prediction_rows import RowWriter

NAME = "naïve/ébène 猫🐱.png"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "utf-16"])
def test_json_stays_json_in_the_encoding_of_stdout(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    console.prepare(debug=False)
    console.print_json({"path": NAME})
    RowWriter(as_json=True, file=None, csv_file=None).add([{"path": NAME, "error": "it is empty"}])
    lines = written.getvalue().decode(encoding).splitlines()
    assert [json.loads(line)["path"] for line in lines] == [NAME, NAME]
    assert (NAME in lines[0]) == (encoding == "utf-8")
