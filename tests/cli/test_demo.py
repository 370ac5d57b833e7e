"""The demo at a hundredth of its length: its files, its page, and that it resumes."""

import json
from pathlib import Path

import pytest

from diptych.cli import demo_run


def test_the_demo_makes_its_page_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_run, "RECOGNIZER_EPOCHS", 10)
    monkeypatch.setattr(demo_run, "JUDGED", 2)
    monkeypatch.setattr(demo_run, "MAKERS", {kind: (maker, 1) for kind, (maker, _) in demo_run.SYNTHESIZERS.items()})
    shown = demo_run.run(tmp_path)
    told = json.loads(json.dumps(shown.json(), allow_nan=False))
    assert told["accuracy"]["value"] > 0.9
    assert told["accuracy"]["n"] > 300
    assert told["agreement"].keys() == {"gan", "vae", "flow"}
    assert all(score["n"] == 20 for score in told["agreement"].values())
    for path in (told["report"], *told["models"].values(), *told["grids"].values()):
        assert Path(path).exists(), path
    page = Path(told["report"]).read_text(encoding="utf-8")
    for words in ("Handwritten", "GAN", "VAE", "Flow", "Try next", "The pictures"):
        assert words.lower() in page.lower()
    assert f"{tmp_path}/report.html" in shown.text()
    weights = [(tmp_path / kind / "weights.safetensors").stat().st_mtime_ns for kind in told["models"]]
    again = demo_run.run(tmp_path)
    assert again == shown
    assert weights == [(tmp_path / kind / "weights.safetensors").stat().st_mtime_ns for kind in told["models"]]
