"""A private recognizer: what its folder says, and what it leaves out."""

import json

import numpy as np
import pytest

from diptych import artefact
from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.loading import load
from diptych.recognition.recognizer import Recognizer

SETTINGS = {"size": 8, "epsilon": 8.0, "delta": 1e-4, "epochs": 15}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Training pictures and held-out ones, two folders of files."""
    digits = Images.open("digits")
    digits = digits[np.flatnonzero(digits.labels < 3)]
    folder = tmp_path_factory.mktemp("digits")
    for name, rows in (("training", slice(0, 320)), ("other", slice(320, 420))):
        digits[np.arange(len(digits))[rows]].save(folder / name)
    return Images.open(folder / "training"), Images.open(folder / "other")


@pytest.fixture(scope="module")
def fitted(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private") / "model"
    return Recognizer(**SETTINGS).fit(parts[0], validate=parts[1], into=folder), folder


def test_it_learns(fitted, parts):
    assert fitted[0].score(parts[1]) > 0.8


def test_the_budget_is_in_its_facts_and_on_its_card(fitted):
    _, folder = fitted
    privacy = artefact.facts(folder)["privacy"]
    names = ("epsilon", "delta", "epsilon_prv", "epsilon_pld", "sampling_rate", "noise_multiplier", "steps", "clip")
    assert set(privacy) == set(names)
    assert privacy["epsilon"] == 8
    assert max(privacy["epsilon_prv"], privacy["epsilon_pld"]) <= 8
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "## What the model can tell about one picture" in card
    assert "ε = 8" in card
    assert "ε = 8" in (folder / "report.html").read_text(encoding="utf-8")


def test_nothing_in_its_folder_tells_one_training_picture(fitted, parts):
    _, folder = fitted
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "data.json", "history.jsonl", "model.json", "report.html", "weights.safetensors"
    ]  # no checkpoint with the secret, no embeddings  # fmt: skip
    text = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix != ".safetensors")
    for told in (parts[0].fingerprint(), *(str(path) for path in parts[0].paths[:20]), '"secret"'):
        assert told not in text
    facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    assert set(facts) == {"private", "folder", "validation", "split_seed", "skipped"}  # no digests of what it saw
    records = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(not json.loads(record)["losses"] for record in records)


def test_it_is_loaded_evaluated_and_calibrated_like_any_other(fitted, parts, tmp_path):
    recognizer, folder = fitted
    loaded = load(folder)
    assert loaded.predict(parts[1]).names == recognizer.predict(parts[1]).names
    assert loaded.evaluate(parts[1]).scores["accuracy"].value > 0.8
    loaded.calibrate(parts[1]).save(tmp_path / "calibrated")
    assert artefact.facts(tmp_path / "calibrated")["privacy"] == recognizer.facts_["privacy"]
    assert "What the model can tell about one picture" in (tmp_path / "calibrated" / "README.md").read_text("utf-8")


def test_the_same_call_returns_the_finished_model(fitted, parts):
    _, folder = fitted
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    Recognizer(**SETTINGS).fit(parts[0], validate=parts[1], into=folder)
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before


def test_it_has_no_training_pictures_to_name(fitted, parts):
    with pytest.raises(DataError, match="trained with epsilon"):
        fitted[0].neighbours(parts[1][:1])


def test_it_is_not_trained_further_and_starts_from_no_other(fitted, parts):
    recognizer, folder = fitted
    with pytest.raises(UsageError, match="its budget is spent"):
        Recognizer(**SETTINGS).fit(parts[0], validate=parts[1], into=folder, more=1)
    with pytest.raises(UsageError, match="same pictures"):
        Recognizer(**SETTINGS).fit(parts[0], start=recognizer)
    with pytest.raises(UsageError, match="does not say which pictures it was trained on"):
        Recognizer("groupnet", size=8, epochs=1).fit(parts[0], start=folder)
