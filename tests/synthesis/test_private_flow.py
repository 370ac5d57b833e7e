"""A flow with a privacy promise, and the synthesizers that cannot give one."""

import json

import numpy as np
import pytest

from diptych import artefact
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.loading import load
from diptych.synthesis.flow import Flow
from diptych.synthesis.gan import GAN
from diptych.synthesis.vae import VAE

SETTINGS = {"size": 8, "epsilon": 8.0, "delta": 1e-3, "epochs": 2, "steps": 2}


@pytest.fixture(scope="module")
def digits():
    digits = Images.open("digits")
    return digits[np.flatnonzero(digits.labels < 2)]


@pytest.fixture(scope="module")
def fitted(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private") / "flow"
    return Flow(**SETTINGS).fit(digits, into=folder), folder


def test_its_facts_and_card_have_the_budget(fitted):
    _, folder = fitted
    privacy = artefact.facts(folder)["privacy"]
    assert max(privacy["epsilon_prv"], privacy["epsilon_pld"]) <= privacy["epsilon"] == 8
    assert "## What the model can tell about one picture" in (folder / "README.md").read_text(encoding="utf-8")


def test_it_keeps_nothing_of_single_training_pictures(fitted, digits):
    _, folder = fitted
    data = artefact.data(folder)
    assert set(data) == {"pictures", "held_out", "size", "skipped", "private", "classes"}
    records = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(not json.loads(record)["losses"] for record in records)
    assert "Real pictures that it was trained on" not in (folder / "report.html").read_text(encoding="utf-8")


def test_a_loaded_one_samples_the_same(fitted):
    flow, folder = fitted
    assert (load(folder).sample(4, seed=3).pixels(8) == flow.sample(4, seed=3).pixels(8)).all()


def test_it_is_neither_tuned_nor_trained_further(fitted, digits):
    flow, folder = fitted
    with pytest.raises(UsageError, match="trains on pictures without noise"):
        flow.tune(digits, epochs=1)
    with pytest.raises(UsageError, match="its budget is spent"):
        Flow(**SETTINGS).fit(digits, into=folder, more=1)


@pytest.mark.parametrize(
    ("synthesizer", "reason"), [(GAN, "compares the pictures of a batch"), (VAE, "those of a whole batch")]
)
def test_a_synthesizer_whose_loss_mixes_pictures_says_so(synthesizer, reason):
    with pytest.raises(UsageError, match=reason):
        synthesizer(epsilon=8)
