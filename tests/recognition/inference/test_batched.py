"""Batched outputs: in the given order, and independent of batches and threads."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from diptych import Images
from diptych.data.transforms import to_float
from diptych.recognition import networks
from diptych.recognition.inference import batched


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return networks.build("speednet", classes=3, size=16)


@pytest.fixture
def threads():
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(1)


def test_outputs_are_those_of_the_network(network):
    images = Images.open("digits")[:600]
    outputs = batched.batched_logits(network, images, 16)
    with torch.inference_mode():
        assert torch.allclose(outputs, network.eval()(to_float(images.pixels(16))), atol=1e-5)


def test_outputs_depend_neither_on_other_pictures_nor_on_threads(network, threads):
    images = Images.open("digits")[:600]
    outputs = batched.batched_logits(network, images, 16)
    assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert torch.equal(outputs, batched.batched_logits(network, images, 16))
    assert torch.allclose(outputs[500:507], batched.batched_logits(network, images[500:507], 16), atol=1e-6)


def test_pictures_that_cannot_be_read_keep_their_rows(network, tmp_path):
    Image.new("RGB", (20, 30), "red").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    images = Images.of_files([tmp_path / name for name in ("bad.png", "good.png", "gone.png")])
    outputs = batched.batched_features(network, images, 16)
    assert outputs.isnan().any(1).tolist() == [True, False, True]
    assert list(images.known_errors()) == [0, 2]


def test_no_pictures_give_empty_outputs(network):
    assert batched.batched_logits(network, Images.open("digits")[[]], 16).shape == (0, 3)


class NotThreadSafe(nn.Module):
    """Fails if two threads are in it at once."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)
        self.inside = 0

    def forward(self, images):
        self.inside += 1
        assert self.inside == 1
        logits = self.head(images.mean((2, 3)))
        torch.linalg.svd(torch.zeros(60, 60))  # releases the interpreter for a while
        self.inside -= 1
        return logits


def test_a_custom_network_is_called_by_one_thread_at_a_time(threads):
    images = Images.from_arrays(np.zeros((600, 16, 16, 3), np.uint8))
    outputs = batched.batched_logits(networks.build(NotThreadSafe, classes=2, size=16), images, 16)
    assert outputs.shape == (600, 2)
