"""The programs in examples/ run on the built-in digits with tiny settings and do what they say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.killing import write_few_digits

FOLDER = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recognise_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["digits", str(tmp_path / "model"), "--network", "convnet", "--epochs", "6"]
    report = example("recognise_a_folder").main(arguments)
    assert report.scores["accuracy"].value > 0.8
    assert (tmp_path / "model" / "report.html").is_file()
    assert "(confidence " in capsys.readouterr().out


def test_own_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_few_digits(tmp_path / "digits.npz")
    loaded = example("own_network").main([data, str(tmp_path / "model"), "--epochs", "2"])
    assert len(loaded.classes_) == 10
    assert "the predictions are the same" in capsys.readouterr().out


def test_generate_and_classify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["digits", str(tmp_path), "--method", "vae", "--epochs", "4", "--per-class", "2"]
    share = example("generate_and_classify").main(arguments)
    assert share > 0.2  # ten classes: chance is 0.1
    assert len(list((tmp_path / "vae-generated").rglob("*.png"))) == 20
    assert "of the requested class" in capsys.readouterr().out


def test_every_example_is_run() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in FOLDER.glob("*.py")} <= tested
