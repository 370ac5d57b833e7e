"""The demo at a hundredth of its length: its files, its page, and that it resumes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diptych import Images
from diptych.cli import demo_run
from diptych.errors import UsageError
from diptych.marks import carries_mark
from tests.marked import pictures_in

EPOCHS = {"recognizer": 8, "gan": 0.5, "vae": 0.5, "flow": 0.25}
SETTINGS = {kind: {"epochs": number} for kind, number in EPOCHS.items()}
SETTINGS["flow"]["steps"] = 2
SHORT = replace(demo_run.SMALL, settings=SETTINGS)


def test_the_demo_writes_its_report_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_run, "SAMPLES_PER_DIGIT", 2)
    result = demo_run.run_demo(tmp_path, SHORT)
    printed = json.loads(json.dumps(result.json(), allow_nan=False))
    assert printed["accuracy"]["value"] > 0.9
    assert printed["accuracy"]["n"] > 300
    assert printed["agreement"].keys() == {"gan", "vae", "flow"}
    assert all(score["n"] == 20 for score in printed["agreement"].values())
    for path in (printed["report"], *printed["models"].values(), *printed["grids"].values()):
        assert Path(path).exists(), path
    page = Path(printed["report"]).read_text(encoding="utf-8")
    assert all(carries_mark(Path(grid)) for grid in printed["grids"].values())
    assert sum(map(carries_mark, pictures_in(page.encode()))) >= 3  # a grid of each synthesizer; the digits are real
    for words in ("Recognition: digits", "GAN", "VAE", "Flow", "Try next", "The pictures"):
        assert words.lower() in page.lower()
    assert f"Report: {tmp_path}/report.html" in result.lines()
    weights = [(tmp_path / kind / "weights.safetensors").stat().st_mtime_ns for kind in printed["models"]]
    again = demo_run.run_demo(tmp_path, SHORT)
    assert again == result
    assert weights == [(tmp_path / kind / "weights.safetensors").stat().st_mtime_ns for kind in printed["models"]]


def test_the_demo_does_not_write_among_other_files(tmp_path: Path) -> None:
    photograph = tmp_path / "000.jpg"
    photograph.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not empty"):
        demo_run.run_demo(tmp_path, SHORT)
    (tmp_path / "recognizer").mkdir()
    with pytest.raises(UsageError, match=r"000\.jpg was not written by this command"):
        demo_run.run_demo(tmp_path, SHORT)
    assert not any((tmp_path / "recognizer").iterdir())


def test_digits_of_28_pixels_are_taken_where_they_are_installed() -> None:
    plan = demo_run.default_plan()
    digits = Images.open(plan.pictures)
    assert plan == demo_run.LARGE
    assert len(digits) == 5000
    assert digits.pixels(28).shape[-2:] == (28, 28)
    assert (np.bincount(digits.labels) == 500).all()
