"""Predictions without torch: equal to the library's, and from the full worker wherever there is no export."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import diptych
from tests.serving.conftest import ServerProcess

TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def exported(home: Path, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one recognizer and its export."""
    server.wait_for_exports()
    folder = tmp_path_factory.mktemp("exported")
    for name in ("colours", ".exports"):
        shutil.copytree(home / name, folder / name)
    return folder


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A folder like that for one test."""
    return Path(shutil.copytree(exported, tmp_path / "models"))


@pytest.fixture(scope="module")
def quick_server(exported: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(exported, "--idle-s", "1")
    yield server
    server.stop()


def check_predictions(server: ServerProcess, model: Path, pictures: list[bytes]) -> None:
    expected = diptych.load(model).predict(pictures).json_rows()
    for picture, row in zip(pictures, expected, strict=True):
        answer = server.request("/models/colours/predict", picture).json
        assert (answer["label"], answer["set"]) == (row["label"], row["set"])
        assert answer["confidence"] == pytest.approx(row["confidence"], abs=TOLERANCE)
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=TOLERANCE)


def holds_torch(server: ServerProcess) -> bool:
    return any(
        "libtorch" in Path(f"/proc/{process}/maps").read_text()
        for process in (server.process.pid, server.worker("quick"), server.worker("full"))
        if process is not None
    )


def test_predictions_without_torch_are_those_of_the_library(
    quick_server: ServerProcess, exported: Path, pictures: list[bytes]
) -> None:
    check_predictions(quick_server, exported / "colours", pictures)
    assert quick_server.request("/models/colours/predict", b"no picture").status == 415
    assert not holds_torch(quick_server)


def test_torch_is_started_when_it_is_needed_and_ends_when_it_is_not(
    quick_server: ServerProcess, pictures: list[bytes]
) -> None:
    for _ in range(2):
        assert quick_server.request("/models/colours/explain", pictures[0]).status == 200
        assert holds_torch(quick_server)
        quick_server.wait_for(lambda: quick_server.worker("full") is None)
        assert quick_server.is_ready()
    assert quick_server.request("/models/colours/predict", pictures[0]).status == 200
    assert quick_server.metric("diptych_worker_restarts") == 0


def test_a_damaged_export_costs_no_answer(copied: Path, pictures: list[bytes]) -> None:
    (export,) = (copied / ".exports").glob("*.onnx")
    export.write_bytes(b"damaged")
    server = ServerProcess(copied)
    check_predictions(server, copied / "colours", pictures)
    assert not export.exists()
    server.stop()


def test_a_model_that_cannot_be_exported_is_answered_by_torch(copied: Path, pictures: list[bytes]) -> None:
    (export,) = (copied / ".exports").glob("*.onnx")
    export.rename(export.with_suffix(".txt"))
    server = ServerProcess(copied)
    assert server.worker("full") is not None  # ready means: loaded
    assert server.metric("diptych_exports_waiting") == 0
    check_predictions(server, copied / "colours", pictures)
    server.stop()


def test_exports_of_models_that_are_gone_are_deleted_and_a_replaced_model_answers_at_once(
    copied: Path, pictures: list[bytes]
) -> None:
    (export,) = (copied / ".exports").glob("*.onnx")
    gone = export.with_name(f"{'0' * 32}.onnx")
    gone.write_bytes(b"old")
    server = ServerProcess(copied)
    assert [gone.exists(), export.exists()] == [False, True]
    assert server.request("/models/colours/predict", pictures[0]).json["label"] == "red"
    facts = copied / "colours" / "model.json"
    facts.write_text(facts.read_text().replace('"red"', '"crimson"'))
    label = server.request("/models/colours/predict", pictures[0]).json["label"]
    server.stop()
    assert label == "crimson"
