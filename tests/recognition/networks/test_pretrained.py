"""timm backbones, with weights from a file that the tests write: no download is needed."""

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from diptych import Images, Recognizer, load
from diptych.errors import ArtefactError, UsageError
from diptych.recognition import networks
from diptych.recognition.training.task import optimizers

NAME = "test_efficientnet"


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(5)
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model(NAME, pretrained=False).state_dict(), path)
    return path


def test_weights_come_from_the_file(file):
    network = networks.build(f"timm:{NAME}@{file}", classes=3, size=32).eval()
    assert network.pretrained
    assert network.thread_safe
    stored = load_file(file)
    backbone = network.backbone.state_dict()
    assert backbone
    assert all(torch.equal(stored[name], tensor) for name, tensor in backbone.items())


def test_pictures_are_normalised_as_in_pretraining(file):
    network = networks.build(f"timm:{NAME}@{file}", classes=3, size=32).eval()
    cfg = timm.get_pretrained_cfg(NAME)
    pictures = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (cfg.mean, cfg.std))
    expected = network.backbone((pictures - mean) / std)
    assert torch.allclose(network.features(pictures * 2 - 1), expected, atol=1e-4)


def test_missing_batch_norm_statistics_are_measured_on_pictures(file):
    network = networks.build(f"timm:{NAME}@{file}", classes=3, size=32)
    pictures = torch.rand(64, 3, 32, 32)
    network.adapt(pictures)
    in_training = network.features(pictures)
    in_evaluation = network.eval().features(pictures)
    difference = (in_training - in_evaluation).square().mean() / in_training.square().mean()
    assert difference < 0.3
    measured = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.adapt(pictures * 0.1)  # they are not measured again
    assert all(torch.equal(measured[name], tensor) for name, tensor in network.state_dict().items())


def test_batch_norm_statistics_are_measured_on_any_number_of_pictures(file):
    network = networks.build(f"timm:{NAME}@{file}", classes=3, size=32)
    network.adapt(torch.rand(33, 3, 32, 32))  # one more than a batch, and maps of one cell
    assert network.eval().features(torch.rand(2, 3, 32, 32)).isfinite().all()


def test_a_loaded_recognizer_does_not_need_the_weights_file(file, tmp_path):
    draw = np.random.default_rng(0)
    labels = np.arange(24) % 2
    pixels = draw.integers(0, 60, (24, 32, 32, 3)) + 150 * labels[:, None, None, None]
    images = Images.from_arrays(pixels.astype(np.uint8), labels, classes=("dark", "bright"))
    fitted = Recognizer(f"timm:{NAME}@{file}", size=32, epochs=1).fit(images, into=tmp_path / "model")
    file.unlink()
    loaded = load(tmp_path / "model")
    assert np.array_equal(loaded.predict(images).probabilities, fitted.predict(images).probabilities)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    facts["backbone"]["arguments"]["checkpoint_path"] = str(tmp_path / "evil.pth")
    (tmp_path / "model" / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ArtefactError, match="'checkpoint_path', which is not passed on to timm"):
        load(tmp_path / "model")


def test_the_error_for_an_unknown_backbone_suggests_the_closest():
    with pytest.raises(UsageError, match=r"timm:resnet18"):
        networks.check("timm:resnet81")


def test_a_file_that_can_run_code_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"x")
    with pytest.raises(UsageError, match="safetensors"):
        networks.check(f"timm:{NAME}@{tmp_path / 'weights.pth'}")


def test_weights_of_another_backbone_are_refused(file):
    with pytest.raises(UsageError, match="are missing"):
        networks.build(f"timm:test_vit@{file}", classes=2, size=160)


def test_a_transformers_position_table_has_the_picture_size(tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit", pretrained=False).state_dict(), tmp_path / "vit.safetensors")
    network = networks.build(f"timm:test_vit@{tmp_path / 'vit.safetensors'}", classes=3, size=64)
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    restored = networks.build(
        "timm:test_vit", classes=3, size=64, download=False, backbone_facts=network.backbone_facts
    ).eval()
    restored.load_state_dict(network.state_dict())
    assert torch.equal(restored(torch.zeros(1, 3, 64, 64)), network(torch.zeros(1, 3, 64, 64)))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", NAME])
def test_the_first_layers_have_the_lowest_learning_rates(name):
    network = networks.build(f"timm:{name}", classes=2, size=32, download=False)
    layers = network.layers()
    assert len(layers) >= 5
    assert sorted(id(p) for layer in layers for p in layer) == sorted(map(id, network.backbone.parameters()))
    layerwise = optimizers(network, networks.recipe_of(f"timm:{name}"), 1.0)
    rates = {id(p): g["lr"] for o in layerwise for g in o.param_groups for p in g["params"]}
    layer_rates = [rates[id(layer[0])] for layer in layers]
    assert layer_rates == sorted(layer_rates)
    assert layer_rates[0] < 0.5 < layer_rates[-1] < rates[id(network.head.weight)]


def test_unreachable_weights_are_reported_with_the_cure(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=rf"timm:{NAME}@/path/to/model.safetensors"):
        networks.build(f"timm:{NAME}", classes=2, size=32)


def test_weights_that_are_not_to_be_had_are_reported_before_the_pictures_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    nothing = Images.from_arrays(np.zeros((0, 8, 8, 3), np.uint8))  # would be refused for itself, too
    with pytest.raises(UsageError, match="the hub cannot be reached"):
        Recognizer(f"timm:{NAME}").fit(nothing)
