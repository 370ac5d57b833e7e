"""The quickest way to many answers gives float32's labels, and is not taken for little work."""

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


@pytest.mark.parametrize("several", [False, True])
def test_the_labels_are_the_networks_own(network, images, several, monkeypatch, caplog):
    monkeypatch.setattr(fast_backend, "WORTH_SECONDS", 0.0)
    caplog.set_level(logging.DEBUG, "diptych")
    both = fast_backend.fastest_backend(network, images, 32, multi_label=several)
    assert ("bfloat16" in caplog.text) is not several
    own, quicker = compute_outputs(network, images, 32), compute_outputs(network, images, 32, forward=both)
    assert torch.equal(quicker.logits.argmax(1), own.logits.argmax(1))
    assert torch.equal(quicker.slopes, own.slopes)


def test_little_work_is_done_by_the_network_itself(network, images):
    assert fast_backend.fastest_backend(network, images, 32, multi_label=False) == network.logits_and_features
    assert fast_backend.fastest_backend(network, images[:100], 32, multi_label=False) == network.logits_and_features


def test_bfloat16_is_taken_where_it_is_far_ahead(network, images, monkeypatch):
    monkeypatch.setattr(fast_backend, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(fast_backend, "GREAT_GAIN", 0.0)
    assert isinstance(fast_backend.fastest_backend(network, images, 32, multi_label=False), BFloat16Network)
