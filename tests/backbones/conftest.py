import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych.backbones import builtin, weights

NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(5)
    return timm.create_model(NAME, pretrained=False).state_dict()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, an unreachable hub, and no package with built-in weights."""
    monkeypatch.setattr(builtin, "is_installed", lambda name: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    return tmp_path / "hub"


def hub_folder(folder, state, **preprocessing):
    """A folder in the layout of the hub."""
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    config = {"architecture": NAME, "pretrained_cfg": {"tag": "mine", "input_size": [3, 96, 96], **preprocessing}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def fill_cache(hub, state, repository="models--someone--something"):
    hub_folder(hub / repository / "snapshots" / "abc", state)
    (hub / repository / "refs").mkdir()
    (hub / repository / "refs" / "main").write_text("abc")
