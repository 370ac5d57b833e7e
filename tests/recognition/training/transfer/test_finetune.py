"""Pretrained networks: the linear probe, fine-tuning, and which of them is kept."""

import json
import logging
import signal
import time

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych import Images, Recognizer, load
from diptych.backbones import weights
from diptych.errors import Interrupted
from diptych.recognition import networks
from diptych.recognition.training.transfer import finetune

SIDE = 80  # px: photographs, as far as Diptych is concerned


def pictures(n=72, seed=0, classes=("low", "middle", "high")):
    """A bright bar on noise, whose height is the class."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    pixels = draw.integers(0, 120, (n, SIDE, SIDE, 3))
    for picture, label in zip(pixels, labels, strict=True):
        top = 10 + 22 * (len(classes) - 1 - label)
        picture[top : top + 16] += 120
    return Images.from_arrays(pixels.astype(np.uint8), labels, classes=classes)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A CNN's and a transformer's weights, drawn at random."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("test_resnet", "test_vit"):
        torch.manual_seed(3)
        save_file(timm.create_model(name).state_dict(), folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_backbone_is_probed_and_fine_tuned_offline(name, files, tmp_path):
    recognizer = Recognizer(f"timm:{name}@{files}", size=32, epochs=2, batch=12).fit(
        pictures(), into=tmp_path / "model"
    )
    rows = recognizer.report_.tables["Steps of training"].rows
    names = [row[0] for row in rows]
    assert names[0].startswith("head on frozen features: ")
    assert names[-1].startswith("whole network tuned")
    assert any(step.startswith("last stage tuned") for step in names) == (name == "test_resnet")
    shown = 72 - recognizer._data["validation"]["counts"]["low"] * 3
    assert rows[0][1] == shown
    assert rows[-1][1] >= 2 * shown - 12
    (chosen,) = [row for row in rows if row[3]]
    assert chosen[2] == max(row[2] for row in rows)
    assert recognizer.report_.scores["accuracy"].value == pytest.approx(chosen[2])
    assert np.array_equal(load(tmp_path / "model").predict(pictures()).names, recognizer.predict(pictures()).names)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert facts["network"] == f"timm:{name}"
    assert facts["backbone"]["mean"] == list(timm.get_pretrained_cfg(name).mean)


class _Stopper(logging.Handler):
    """Presses Ctrl-C when a message begins so."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def emit(self, record):
        if record.getMessage().startswith(self.text):
            signal.raise_signal(signal.SIGINT)


def test_a_stop_while_it_is_tuned_leaves_the_best_head_so_far(files, tmp_path, monkeypatch):
    log, stopper, folder = logging.getLogger("diptych"), _Stopper("Last stage tuned"), tmp_path / "model"
    monkeypatch.setattr(log, "level", logging.INFO)
    recognizer = Recognizer(f"timm:test_resnet@{files}", size=32, epochs=1, batch=12)
    log.addHandler(stopper)
    try:
        with pytest.raises(Interrupted, match=r"can be used \(accuracy .* on \d+ held-out pictures\)"):
            recognizer.fit(pictures(), into=folder)
    finally:
        log.removeHandler(stopper)
    facts = json.loads((folder / "model.json").read_text())
    loaded = load(folder)
    targets = Images.of(pictures()[[0, 1, 2]])
    assert len(loaded.predict(targets).names) == 3
    assert facts["unfinished"]["score"] == pytest.approx(facts["scores"]["accuracy"]["value"])
    assert not (folder / "history.jsonl").exists()  # of the run, which has not begun
    finished = Recognizer(f"timm:test_resnet@{files}", size=32, epochs=1, batch=12).fit(pictures(), into=folder)
    steps = [row[0] for row in finished.report_.tables["Steps of training"].rows]
    assert steps[-1].startswith("whole network tuned")
    assert "unfinished" not in json.loads((folder / "model.json").read_text())
    assert not (folder / "checkpoint").exists()


def test_fine_tuning_that_does_worse_is_discarded(files, tmp_path):
    recognizer = Recognizer(f"timm:test_vit@{files}", size=32, epochs=2, batch=12, lr=30.0).fit(pictures())
    steps = {row[0]: row for row in recognizer.report_.tables["Steps of training"].rows}
    *_, whole_score, kept = next(row for name, row in steps.items() if name.startswith("whole network tuned"))
    assert not kept
    (chosen,) = [row for row in steps.values() if row[3]]
    assert chosen[2] > whole_score
    assert recognizer.report_.scores["accuracy"].value == pytest.approx(chosen[2])
    fresh = networks.build(f"timm:test_vit@{files}", classes=3, size=32).backbone.state_dict()
    assert all(torch.equal(recognizer.network_.backbone.state_dict()[k], v) for k, v in fresh.items())


def test_a_short_budget_gives_the_probe_in_time(files, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "MIN_EPOCHS", 1e9)
    start = time.monotonic()
    recognizer = Recognizer(f"timm:test_vit@{files}", size=32, minutes=1).fit(pictures(), into=tmp_path / "model")
    assert time.monotonic() - start < 60
    assert any("is the result" in finding for finding in recognizer.report_.findings)
    (record,) = [json.loads(line) for line in (tmp_path / "model" / "history.jsonl").read_text().splitlines()]
    assert record["scores"]["accuracy"] == pytest.approx(recognizer.report_.scores["accuracy"].value)
    assert not (tmp_path / "model" / "checkpoint").exists()


def test_a_backbone_whose_head_hardly_errs_is_not_tuned(files):
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 2
    pixels = draw.integers(0, 60, (60, SIDE, SIDE, 3)) + 180 * labels[:, None, None, None]
    images = Images.from_arrays(pixels.astype(np.uint8), labels, classes=("dark", "bright"))
    recognizer = Recognizer(f"timm:test_resnet@{files}", size=32, minutes=1).fit(images)
    assert (
        "The backbone was not tuned: in cross-validation its head is right for 100.0%." in recognizer.report_.findings
    )
    (row,) = recognizer.report_.tables["Steps of training"].rows
    assert row[0].startswith("head on frozen features")


def test_photographs_use_the_local_weights(files, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(files / "test_vit.safetensors"))
    recognizer = Recognizer(size=32, epochs=1).fit(pictures())
    assert recognizer._facts["network"] == "timm:test_vit"
    assert any("test_vit, pretrained" in finding for finding in recognizer.report_.findings)


def test_multi_label_sets_are_probed_too(files):
    images = pictures()
    labels = np.stack((images.labels == 0, images.labels != 2), 1)
    multi_label = Images.from_arrays(images.pixels(SIDE).permute(0, 2, 3, 1).numpy(), labels, classes=("low", "dim"))
    recognizer = Recognizer(f"timm:test_vit@{files}", size=32, epochs=1).fit(multi_label)
    assert recognizer.report_.tables["Steps of training"].columns[2] == "macro F1 on validation"
