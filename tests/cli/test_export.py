"""The verb export, and predict without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandResult, Terminal, trained_pictures

WITHOUT_TORCH = """
import sys
from diptych.cli.app import run
code = run(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)
raise SystemExit(code)
"""


def test_an_exported_file_predicts_as_the_model_does_without_torch(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    model, file = fitted[0] / "recognizer", tmp_path / "file.onnx"
    (tmp_path / "text.jpg").write_text("no picture")
    paths = [colours / "red", tmp_path / "text.jpg", colours / "green"]
    exported, from_model, evaluated, gan = diptych.several(
        ["export", model, "-o", file, "--json"],
        ["predict", model, *paths, "--json"],
        ["evaluate", file, colours, "--json"],
        ["export", fitted[0] / "gan", "-o", tmp_path / "gan.onnx"],
    )
    assert exported.code == 0, exported.err
    assert exported.json["parity"]["same_labels"] == exported.json["parity"]["pictures"] == 48
    assert evaluated.json["accuracy"]["n"] == 48 - trained_pictures(model)
    assert (gan.code, (tmp_path / "gan.onnx").exists()) == (3, False)
    completed = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "predict", file, *paths, "--json"], capture_output=True, text=True
    )
    assert completed.returncode == from_model.code == 4
    assert completed.stderr.splitlines()[-1] == "False"
    from_file = CommandResult(completed.returncode, completed.stdout, completed.stderr).lines
    assert [(row["path"], row.get("label")) for row in from_file] == [
        (row["path"], row.get("label")) for row in from_model.lines
    ]
    for ours, theirs in zip(from_file, from_model.lines, strict=True):
        assert ours.keys() == theirs.keys()
        assert ours.get("probabilities", {}) == pytest.approx(theirs.get("probabilities", {}), abs=1e-4)
