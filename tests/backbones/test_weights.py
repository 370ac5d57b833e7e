"""Weights on this machine: found in files, folders and the hub's cache, and never by the network unasked."""

import json
import socket
import threading
import time

import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych.backbones import weights
from diptych.errors import UsageError
from diptych.recognition.networks import pretrained

NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(5)
    return timm.create_model(NAME, pretrained=False).state_dict()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and a hub out of reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    return tmp_path / "hub"


def laid_out(folder, state, **told):
    """A folder as the hub lays it out."""
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    config = {"architecture": NAME, "pretrained_cfg": {"tag": "mine", "input_size": [3, 96, 96], **told}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def cached(hub, state, repository="models--someone--something"):
    laid_out(hub / repository / "snapshots" / "abc", state)
    (hub / repository / "refs").mkdir()
    (hub / repository / "refs" / "main").write_text("abc")


def test_a_folder_tells_its_backbone_its_size_and_its_colours(tmp_path, state):
    folder = laid_out(tmp_path / "any", state, mean=[0.1, 0.2, 0.3], interpolation="bilinear", crop_pct=0.9)
    (found,) = weights.weights_inside(folder)
    assert found.network == f"timm:{NAME}.mine@{folder / 'model.safetensors'}"
    assert pretrained.default_size(found.network) == 96
    network = pretrained.build(found.network, classes=2, size=32)
    assert network.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert (
        network.backbone_facts["interpolation"],
        network.backbone_facts["crop_pct"],
        network.backbone_facts["size"],
    ) == ("bilinear", 0.9, 96)


def test_a_file_named_after_its_backbone_is_found_and_others_are_not(tmp_path, state):
    save_file(state, tmp_path / f"{NAME}.r160_in1k.safetensors")
    save_file(state, tmp_path / "holiday.safetensors")
    laid_out(tmp_path / "below", state)
    assert [w.name for w in weights.weights_inside(tmp_path)] == [f"{NAME}.r160_in1k", f"{NAME}.mine"]
    assert weights.weights_inside(tmp_path / "nothing") == []


def test_what_a_person_names_comes_before_the_cache(tmp_path, state, hub, monkeypatch):
    cached(hub, state)
    assert [w.file.parent.name for w in weights.local_weights()] == ["abc"]
    save_file(state, tmp_path / f"{NAME}.safetensors")
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / f"{NAME}.safetensors"))
    assert [w.name for w in weights.local_weights()] == [NAME]


def test_a_variable_that_names_no_weights_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=r"DIPTYCH_WEIGHTS names .* holds no weights"):
        weights.local_weights()


def test_an_empty_cache_has_nothing_at_hand(hub):
    assert weights.local_weights() == []


def test_the_largest_that_can_be_trained_is_the_best(tmp_path):
    def made(name, megabytes):
        with (tmp_path / name).open("wb") as file:
            file.truncate(megabytes * 1_000_000)
        return weights.Weights(name, tmp_path / name)

    small, middle, large = made("small", 5), made("middle", 90), made("large", 350)
    assert weights.best_weights([small, large, middle], "cpu") is middle
    assert weights.best_weights([small, large, middle], "cuda") is large
    assert weights.best_weights([large], "cpu") is large


def test_a_backbone_named_alone_comes_from_the_cache_without_a_network(state, hub):
    cached(hub, state, f"models--timm--{NAME}.r160_in1k")
    assert weights.fetch_weights(NAME).file.parent.name == "abc"


def test_a_folder_without_the_backbone_is_answered_with_the_cure(tmp_path, state):
    laid_out(tmp_path / "one", state)
    with pytest.raises(UsageError, match=r"holds no weights of resnet18.*timm:resnet18@"):
        weights.locate_weights("resnet18", tmp_path)


def test_a_hub_that_does_not_answer_is_given_up_soon(state, hub, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and says nothing
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(weights, "PATIENCE_SECONDS", 0.3)
        start = time.monotonic()
        with pytest.raises(UsageError, match="the hub cannot be reached"):
            weights.fetch_weights(NAME)
        assert time.monotonic() - start < 3


def test_a_hub_that_answers_is_in_reach(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")

        def answer() -> None:
            with server.accept()[0] as call:
                call.recv(4096)
                call.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        assert weights._reachable()
        answering.join()
