import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from diptych import artefact
from diptych.errors import ArtefactError, UsageError
from diptych.report import Report

FACTS = {"kind": "recognizer", "classes": ["cat", "犬", "caf\udce9"], "loss": float("nan")}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    weights = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.tensor(7)}
    return artefact.write(
        tmp_path / "models" / "pets", FACTS, weights, data={"n": 3}, card="# Pets", report=Report("Pets")
    )


def test_what_was_written_is_read(saved: Path) -> None:
    found = artefact.read(saved, "recognizer")
    assert found.folder == saved
    assert found.facts["classes"] == FACTS["classes"]
    assert found.facts["loss"] is None
    assert found.facts["format"] == artefact.FORMAT
    assert {"diptych", "torch", "python"} <= found.facts["versions"].keys()
    assert torch.equal(found.weights["w"], torch.arange(12.0).reshape(3, 4))
    assert found.weights["b"].item() == 7
    names = {"model.json", "weights.safetensors", "data.json", "README.md", "report.html"}
    assert {p.name for p in saved.iterdir()} == names


def test_what_is_not_installed_is_told_so():
    told = artefact.versions(("torch", "surely-not-installed"))
    assert told["torch"].startswith("2.")
    assert told["surely-not-installed"] == "not installed"


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
    found = artefact.read(tmp_path).weights
    assert found.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].is_contiguous()


def test_the_same_model_is_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = artefact.write(tmp_path / "again", FACTS, artefact.read(saved).weights)
    for name in ("model.json", "weights.safetensors"):
        assert (again / name).read_bytes() == (saved / name).read_bytes()


def test_a_write_that_is_cut_short_leaves_no_model(saved: Path) -> None:
    with pytest.raises(AttributeError):
        artefact.write(saved, FACTS, {"w": torch.ones(1)}, report="no page")  # type: ignore[arg-type]
    with pytest.raises(ArtefactError, match="holds no model"):
        artefact.read(saved)


def test_a_folder_of_other_things_is_not_written_over(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# My project")
    with pytest.raises(UsageError, match="no model"):
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
    ("damage", "told"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "missing"),
        (lambda f: _cut(f, 0.9), "damaged"),
        (lambda f: _cut(f, 0.1), "damaged"),
        (lambda f: _cut(f, 0), "damaged"),
        (_flip, "checksum"),
        (lambda f: (f / "model.json").write_text('{"format": 1, "ki'), "no JSON"),
        (lambda f: (f / "model.json").write_text("[1]"), "no JSON object"),
        (lambda f: (f / "model.json").write_text("[" * 100_000), "no JSON"),
        (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), "UTF-8"),
        (lambda f: (f / "model.json").write_text("{}"), "no format and kind"),
        (lambda f: _json(f, format="1"), "no format and kind"),
        (lambda f: _json(f, format=2), "newer Diptych"),
        (lambda f: _json(f, kind="gan"), "a gan, not a recognizer"),
        (lambda f: (f / "model.json").unlink(), "holds no model"),
    ],
)
def test_every_damage_is_told_in_a_sentence(saved: Path, damage: Callable[[Path], object], told: str) -> None:
    damage(saved)
    with pytest.raises(ArtefactError, match=told) as caught:
        artefact.read(saved, "recognizer")
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such folder"):
        artefact.read(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="is a file"):
        artefact.read(tmp_path / "file")
    (tmp_path / "begun" / "checkpoint").mkdir(parents=True)
    with pytest.raises(ArtefactError, match="Run the same fit command again"):
        artefact.read(tmp_path / "begun")
