"""Models, runs and what they write beside pictures: the files that fuzzing starts from."""

import functools
import io
import json
import tempfile
from pathlib import Path
from typing import Any

STATE = "checkpoint/000000000064/state.pt"


@functools.cache
def _model(kind: str) -> dict[str, bytes]:
    """The files of a small model."""
    import diptych

    model: Any = {"recognizer": diptych.Recognizer, "vae": diptych.VAE}[kind](epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        model.fit(diptych.Images.open("digits")[:40]).save(Path(folder, "model"))
        return {path.name: path.read_bytes() for path in Path(folder, "model").iterdir()}


def write_model(folder: Path, kind: str) -> None:
    """Write such a model into a folder."""
    folder.mkdir(exist_ok=True)
    for name, content in _model(kind).items():
        (folder / name).write_bytes(content)


def write_recognizer(folder: Path) -> None:
    """A recognizer."""
    write_model(folder, "recognizer")


def write_unchecked(folder: Path) -> None:
    """A recognizer whose weights and embeddings have no checksum."""
    write_recognizer(folder)
    facts = json.loads((folder / "model.json").read_bytes())
    facts["extra_sha256"] = dict.fromkeys(facts["extra_sha256"])
    (folder / "model.json").write_text(json.dumps(facts))


def write_synthesizer(folder: Path) -> None:
    """A VAE."""
    write_model(folder, "vae")


def model_facts() -> list[bytes]:
    """Of a recognizer."""
    return [_model("recognizer")["model.json"]]


def model_data() -> list[bytes]:
    """Of a recognizer."""
    return [_model("recognizer")["data.json"]]


def embeddings() -> list[bytes]:
    """Of a recognizer's training pictures."""
    return [_model("recognizer")["embeddings.safetensors"]]


def synthesizer_facts() -> list[bytes]:
    """Of a VAE."""
    return [_model("vae")["model.json"]]


def write_samples(folder: Path) -> None:
    """Pictures that a VAE generated, and beside the folder the VAE."""
    import diptych

    write_model(folder.parent / f"{folder.name}-model", "vae")
    loaded: Any = diptych.load(folder.parent / f"{folder.name}-model")
    loaded.sample(1, into=folder)


def sample_records() -> list[bytes]:
    """The record of the same."""
    with tempfile.TemporaryDirectory() as folder:
        write_samples(Path(folder, "samples"))
        return [Path(folder, "samples", "sample.json").read_bytes()]


def run_records() -> list[bytes]:
    """The settings of a run."""
    return [json.dumps({"format": 2, "settings": {"minutes": 1.0, "epochs": None, "network": "convnet"}}).encode()]


def histories() -> list[bytes]:
    """Two records of a run."""
    rows = [
        {"seen_pictures": n, "seconds": 1.5, "progress": n / 64, "loss": 0.5, "scores": {"accuracy": 0.9}}
        for n in (32, 64)
    ]
    return ["".join(json.dumps(row) + "\n" for row in rows).encode()]


def checkpoints() -> list[bytes]:
    """The state of a run."""
    import torch

    out = io.BytesIO()
    state = {"seen_pictures": 64, "weights": {"a": torch.zeros(2, 2)}, "history": [1.5, None, "a"], "seed": (1, 2)}
    torch.save(state, out)
    return [out.getvalue()]
