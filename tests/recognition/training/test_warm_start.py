"""Recognizers that start from others: their networks, heads, sizes, and what is refused."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from diptych import Images, Recognizer
from diptych.errors import UsageError
from diptych.recognition.training.warm_start import WarmStart


class Small(nn.Module):
    """A person's own network."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.out = nn.Linear(32, classes)

    def forward(self, images):
        return self.out(self.body(images))


@pytest.fixture(scope="module")
def birds():
    """Noise of three colours, named otherwise than the digits are."""
    draw = np.random.default_rng(5)
    labels = np.arange(60) % 3
    pixels = draw.integers(0, 90, (60, 8, 8, 3))
    pixels[np.arange(60), :, :, labels] += 120
    return Images.from_arrays(pixels.astype(np.uint8), labels, classes=("crow", "1", "robin"))


@pytest.fixture(scope="module")
def convnet(digits):
    return Recognizer("convnet", epochs=2, batch=16).fit(digits)


def start_of(recognizer) -> WarmStart:
    return recognizer._as_start(None, None)


def test_the_body_and_the_rows_of_common_classes_are_taken_over(convnet, birds):
    built = start_of(convnet).build("convnet", birds.classes, 8, seed=0)
    source = convnet.network_
    assert torch.equal(built.dense.weight, source.dense.weight)
    number = convnet.classes_.index("1")
    assert torch.equal(built.head.weight[1], source.head.weight[number])
    assert not torch.equal(built.head.weight[0], source.head.weight[0])


@pytest.mark.parametrize("network", ["speednet", Small])
def test_any_network_can_be_started_from_and_is_followed(network, digits, birds):
    source = Recognizer(network, epochs=1, batch=16).fit(digits)
    begun = Recognizer(network if network is Small else "auto", epochs=1, batch=16).fit(birds, start=source)
    assert begun.classes_ == ("crow", "1", "robin")
    assert type(begun.network_) is type(source.network_)
    assert begun.size_ == source.size_


def test_a_pretrained_network_is_trained_further_and_started_from_without_the_file_of_its_weights(
    tmp_path, digits, birds
):
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "vit.safetensors")
    name = f"timm:test_vit@{tmp_path / 'vit.safetensors'}"
    source = Recognizer(name, size=16, epochs=1).fit(digits, into=tmp_path / "source")
    source.fit(digits, more=0.02)
    assert len(source._facts["extensions"]) == 1
    (tmp_path / "vit.safetensors").unlink()
    begun = Recognizer(epochs=1).fit(birds, start=tmp_path / "source")
    assert begun._facts["network"] == "timm:test_vit"
    assert begun.size_ == 16


def test_another_network_or_a_size_that_it_cannot_have_is_refused(convnet, birds):
    with pytest.raises(UsageError, match="has the network convnet, not speednet"):
        Recognizer("speednet", epochs=1).fit(birds, start=convnet)
    with pytest.raises(UsageError, match=r"convnet at 32 px cannot start from the weights at 8 px \(dense.weight is"):
        Recognizer(size=32, epochs=1).fit(birds, start=convnet)


def test_pictures_that_are_divided_otherwise_than_before_are_no_ground_to_train_further_on(convnet, digits):
    convnet._data["training"]["fingerprint"] = "of another split"
    with pytest.raises(UsageError, match="not divided into training and validation as when"):
        convnet.fit(digits, more=0.02)
