"""The fastest backend gives the labels of float32, and is not searched for where there is little work."""

import logging

import pytest
import torch

from diptych import Images
from diptych.recognition import networks
from diptych.recognition.inference import fast_backend
from diptych.recognition.inference.bfloat16 import BFloat16Network
from diptych.recognition.inference.outputs import compute_outputs

PICTURES = 600


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return networks.build("convnet", classes=10, size=32)


@pytest.fixture(scope="module")
def images():
    return Images.open("digits")[:PICTURES]


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_labels_are_those_of_the_network(network, images, multi_label, monkeypatch, caplog):
    monkeypatch.setattr(fast_backend, "MIN_SECONDS", 0.0)
    caplog.set_level(logging.DEBUG, "diptych")
    forward = fast_backend.fastest_backend(network, images, 32, multi_label=multi_label)
    assert ("bfloat16" in caplog.text) is not multi_label
    expected, outputs = compute_outputs(network, images, 32), compute_outputs(network, images, 32, forward=forward)
    assert torch.equal(outputs.logits.argmax(1), expected.logits.argmax(1))
    assert torch.equal(outputs.slopes, expected.slopes)


def test_for_little_work_the_network_itself_is_used(network, images):
    assert fast_backend.fastest_backend(network, images, 32, multi_label=False) == network.logits_and_features
    assert fast_backend.fastest_backend(network, images[:100], 32, multi_label=False) == network.logits_and_features


def test_bfloat16_is_chosen_where_it_is_much_faster(network, images, monkeypatch):
    monkeypatch.setattr(fast_backend, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(fast_backend, "BFLOAT16_SPEEDUP", 0.0)
    assert isinstance(fast_backend.fastest_backend(network, images, 32, multi_label=False), BFloat16Network)
