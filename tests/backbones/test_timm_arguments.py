"""A stranger's ``model.json`` or ``config.json`` gets nothing from timm but a backbone."""

import json

import pytest

from diptych.backbones import timm_backbone, weights
from diptych.errors import ArtefactError
from tests.backbones.conftest import NAME, hub_folder

FACTS = {
    "name": NAME, "source": "", "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear",
    "crop_pct": 1.0,
}  # fmt: skip


def test_the_arguments_that_published_backbones_have_are_passed_on():
    backbone, facts = timm_backbone.build(NAME, 32, facts={**FACTS, "arguments": {"global_pool": "max"}})
    assert backbone.global_pool.pool_type == "max"
    assert facts["arguments"] == {"global_pool": "max"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"checkpoint_path": "weights.pth"},
        {"pretrained_cfg": {"url": "https://evil.example/x.pth"}},
        {"features_only": True},
        {"cache_dir": "/tmp"},
        {"depth": 10**9},
        {"img_size": 10**9},
        {"img_size": True},
        {"global_pool": ""},
        {"global_pool": ["avg"]},
        {"drop_rate": float("nan")},
        ["img_size"],
    ],
)
def test_others_are_refused(arguments):
    with pytest.raises(ArtefactError, match=NAME):
        timm_backbone.build(NAME, 32, facts={**FACTS, "arguments": arguments})


@pytest.mark.parametrize("name", ["hf-hub:someone/something", "local-dir:/tmp/model", "../resnet18", "", None, 5])
def test_a_name_that_is_no_backbone_of_timms_list_is_refused(name):
    with pytest.raises(ArtefactError, match="timm has no backbone"):
        timm_backbone.build(NAME, 32, facts={**FACTS, "name": name, "arguments": {}})


def test_the_configuration_beside_weights_cannot_name_other_weights(tmp_path, state):
    folder = hub_folder(tmp_path / "any", state, file="/etc/passwd", url="https://evil.example", state_dict={"a": 1})
    (found,) = weights.weights_in_folder(folder)
    _, facts = timm_backbone.build(found.name, 32, found)
    assert set(facts) == {*FACTS, "arguments"}
    assert timm_backbone._pretraining_config(found.name, found.config).get("file") is None
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_args": {"checkpoint_path": "x.pth"}}))
    (found,) = weights.weights_in_folder(folder)
    with pytest.raises(ArtefactError, match="checkpoint_path"):
        timm_backbone.build(found.name, 32, found)
