"""Weights on this machine: in files, folders and the hub's cache; the network is used only on request."""

import socket
import threading
import time

import pytest
from safetensors.torch import save_file

from diptych.backbones import hub, timm_backbone, weights
from diptych.errors import UsageError
from diptych.recognition.networks import pretrained
from tests.backbones.conftest import NAME, fill_cache, hub_folder


def test_a_folder_names_its_backbone_size_and_normalisation(tmp_path, state):
    folder = hub_folder(tmp_path / "any", state, mean=[0.1, 0.2, 0.3], interpolation="bilinear", crop_pct=0.9)
    (backbone,) = weights.weights_in_folder(folder)
    assert backbone.network == f"timm:{NAME}.mine@{folder / 'model.safetensors'}"
    assert timm_backbone.default_size(backbone.network) == 96
    network = pretrained.build(backbone.network, classes=2, size=32)
    assert network.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert (
        network.backbone_facts["interpolation"],
        network.backbone_facts["crop_pct"],
        network.backbone_facts["size"],
    ) == ("bilinear", 0.9, 96)


def test_a_file_named_after_its_backbone_is_found_and_others_are_not(tmp_path, state):
    save_file(state, tmp_path / f"{NAME}.r160_in1k.safetensors")
    save_file(state, tmp_path / "holiday.safetensors")
    hub_folder(tmp_path / "below", state)
    assert [w.name for w in weights.weights_in_folder(tmp_path)] == [f"{NAME}.r160_in1k", f"{NAME}.mine"]
    assert weights.weights_in_folder(tmp_path / "nothing") == []


def test_a_backbone_without_a_path_comes_from_the_cache_without_a_network(state, hub):
    fill_cache(hub, state, f"models--timm--{NAME}.r160_in1k")
    assert weights.fetch_weights(NAME).file.parent.name == "abc"


def test_the_error_for_a_folder_without_the_backbone_says_what_to_do(tmp_path, state):
    hub_folder(tmp_path / "one", state)
    with pytest.raises(UsageError, match=r"holds no weights of resnet18.*timm:resnet18@"):
        weights.locate_weights("resnet18", tmp_path)


def test_a_hub_that_does_not_answer_times_out(state, hub, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts the connection and sends nothing
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(UsageError, match="the hub cannot be reached"):
            weights.fetch_weights(NAME)
        assert time.monotonic() - start < 5


def test_a_hub_that_answers_is_reachable(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")

        def answer() -> None:
            with server.accept()[0] as call:
                call.recv(4096)
                call.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert hub.is_reachable()
        thread.join()
