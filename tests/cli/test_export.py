"""The verb export, and predict without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Done, Terminal

WITHOUT_TORCH = """
import sys
from diptych.cli.app import run
code = run(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)
raise SystemExit(code)
"""


def test_export_and_predict(diptych: Terminal, fitted: tuple[Path, list[Done]], colours: Path, tmp_path: Path) -> None:
    model, file = fitted[0] / "recognizer", tmp_path / "file.onnx"
    (tmp_path / "text.jpg").write_text("no picture")
    some = [colours / "red", tmp_path / "text.jpg", colours / "green"]
    written, folder, other, gan = diptych.several(
        ["export", model, "-o", file, "--json"],
        ["predict", model, *some, "--json"],
        ["evaluate", file, colours, "--json"],
        ["export", fitted[0] / "gan", "-o", tmp_path / "gan.onnx"],
    )
    assert written.code == 0, written.err
    assert written.json["parity"]["same_labels"] == written.json["parity"]["pictures"] == 48
    assert other.json["accuracy"]["n"] == 48
    assert (gan.code, (tmp_path / "gan.onnx").exists()) == (3, False)
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "predict", file, *some, "--json"], capture_output=True, text=True
    )
    assert told.returncode == folder.code == 4
    assert told.stderr.splitlines()[-1] == "False"
    ours = Done(told.returncode, told.stdout, told.stderr).lines
    assert [(row["path"], row.get("label")) for row in ours] == [
        (row["path"], row.get("label")) for row in folder.lines
    ]
    for one, same in zip(ours, folder.lines, strict=True):
        assert one.keys() == same.keys()
        assert one.get("probabilities", {}) == pytest.approx(same.get("probabilities", {}), abs=1e-4)
