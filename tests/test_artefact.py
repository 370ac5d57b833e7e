import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from diptych import artefact, load
from diptych.errors import ArtefactError, UsageError
from diptych.report import Report

FACTS = {"kind": "recognizer", "classes": ["cat", "犬", "caf\udce9"], "loss": float("nan")}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    weights = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.tensor(7)}
    return artefact.write(
        tmp_path / "models" / "pets", FACTS, weights, data={"n": 3}, card="# Pets", report=Report("Pets")
    )


def test_what_is_written_is_read_back(saved: Path) -> None:
    model = artefact.read(saved, "recognizer")
    assert model.folder == saved
    assert model.facts["classes"] == FACTS["classes"]
    assert model.facts["loss"] is None
    assert model.facts["format"] == artefact.FORMAT
    assert {"diptych", "torch", "python"} <= model.facts["versions"].keys()
    assert torch.equal(model.weights["w"], torch.arange(12.0).reshape(3, 4))
    assert model.weights["b"].item() == 7
    names = {"model.json", "weights.safetensors", "data.json", "README.md", "report.html"}
    assert {p.name for p in saved.iterdir()} == names


def test_a_package_that_is_not_installed_is_reported():
    versions = artefact.versions(("torch", "surely-not-installed"))
    assert versions["torch"].startswith("2.")
    assert versions["surely-not-installed"] == "not installed"


def test_any_memory_layout_is_saved(tmp_path: Path) -> None:
    whole = torch.randn(8, 4, 3, 3)
    weights = {
        "channels_last": whole.to(memory_format=torch.channels_last),
        "transposed": whole[:, :, 0, 0].T,
        "shared": whole,
        "part": whole[2:4],
        "expanded": torch.ones(1).expand(5),
        "trained": torch.nn.Parameter(torch.ones(2)),
        "half": torch.ones(3, dtype=torch.bfloat16),
    }
    artefact.write(tmp_path, {"kind": "vae"}, weights)
    loaded = artefact.read(tmp_path).weights
    assert loaded.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(loaded[name], tensor), name
        assert loaded[name].is_contiguous()


def test_the_same_model_is_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = artefact.write(tmp_path / "again", FACTS, artefact.read(saved).weights)
    for name in ("model.json", "weights.safetensors"):
        assert (again / name).read_bytes() == (saved / name).read_bytes()


def test_a_write_that_fails_leaves_the_model_that_was_there(saved: Path) -> None:
    with pytest.raises(AttributeError):
        artefact.write(saved, FACTS, {"w": torch.ones(1)}, report="no page")  # type: ignore[arg-type]
    assert torch.equal(artefact.read(saved).weights["w"], torch.arange(12.0).reshape(3, 4))


REPLACE = """
import sys, torch
from diptych import artefact, tensor_files
for n in range(1, 10**6):
    tensors = {"w": torch.full((200_000,), float(n))}
    extra = {"more.safetensors": tensor_files.pack(tensors)}
    artefact.write(sys.argv[1], {"kind": "vae", "n": n}, tensors, data={"n": n}, extra_files=extra)
"""


def test_at_every_moment_and_after_a_kill_a_whole_model_is_read(tmp_path: Path) -> None:
    for delay in (0.13, 0.29):
        process = subprocess.Popen([sys.executable, "-c", REPLACE, str(tmp_path / "model")])
        while not artefact.exists(tmp_path / "model"):
            assert process.poll() is None
            time.sleep(0.01)
        end = time.monotonic() + delay
        while time.monotonic() < end:
            assert_whole(tmp_path / "model")
        process.kill()
        process.wait()
        assert_whole(tmp_path / "model")
    artefact.write(tmp_path / "model", {"kind": "vae", "n": 0}, {"w": torch.zeros(3)})
    assert not (tmp_path / "model" / "replacement").exists()
    assert artefact.read(tmp_path / "model").facts["n"] == 0


def assert_whole(folder: Path) -> None:
    model = artefact.read(folder)
    values = {
        model.facts["n"],
        model.data["n"],
        model.weights["w"][0].item(),
        *model.extra["more.safetensors"]["w"].tolist(),
    }
    assert len(values) == 1


def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# My project")
    with pytest.raises(UsageError, match="not a model"):
        artefact.write(tmp_path, FACTS, {"w": torch.ones(1)}, card="# Pets")
    assert readme.read_text() == "# My project"
    assert list(tmp_path.iterdir()) == [readme]


def _json(folder: Path, **changes: object) -> None:
    facts = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps(facts))


def _flip(folder: Path) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _cut(folder: Path, share: float) -> None:
    path = folder / "weights.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    _json(folder, weights_sha256=None)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "missing"),
        (lambda f: _cut(f, 0.9), "damaged"),
        (lambda f: _cut(f, 0.1), "damaged"),
        (lambda f: _cut(f, 0), "damaged"),
        (_flip, "checksum"),
        (lambda f: (f / "model.json").write_text('{"format": 1, "ki'), "not valid JSON"),
        (lambda f: (f / "model.json").write_text("[1]"), "not a JSON object"),
        (lambda f: (f / "model.json").write_text("[" * 100_000), "more than 64 levels"),
        (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), "UTF-8"),
        (lambda f: (f / "model.json").write_text("{}"), "format and kind are missing"),
        (lambda f: _json(f, format="1"), "format and kind are missing"),
        (lambda f: _json(f, format=artefact.FORMAT + 1), "newer Diptych"),
        (lambda f: _json(f, format=artefact.FORMAT - 1), "earlier Diptych"),
        (lambda f: _json(f, kind="gan"), "a gan, not a recognizer"),
        (lambda f: (f / "model.json").unlink(), "holds no model"),
    ],
)
def test_every_kind_of_damage_is_reported_in_one_sentence(
    saved: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(saved)
    with pytest.raises(ArtefactError, match=message) as caught:
        artefact.read(saved, "recognizer")
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_without_a_model_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="does not exist"):
        artefact.read(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="is a file"):
        artefact.read(tmp_path / "file")
    (tmp_path / "unfinished" / "checkpoint").mkdir(parents=True)
    with pytest.raises(ArtefactError, match="Run the same fit command again"):
        artefact.read(tmp_path / "unfinished")


@pytest.mark.parametrize(
    "name", ["model.pt", "model.PTH", "model.pkl", "model.joblib", "model.ckpt", "pytorch_model.bin"]
)
def test_files_that_can_run_code_are_refused_with_the_cure_and_not_opened(tmp_path: Path, name: str) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "owned"),))

    (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(ArtefactError, match=r"can run code.*safetensors\.torch\.save_file"):
            load(path)
    assert not (tmp_path / "owned").exists()
