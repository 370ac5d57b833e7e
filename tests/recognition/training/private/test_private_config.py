"""What a private recognizer is trained with, and what is refused."""

import pytest
import torch
from torch import nn

from diptych.errors import UsageError
from diptych.recognition.recognizer import Recognizer
from diptych.recognition.training.private.private_config import build_private, private_network_and_size


def parameters(**changes):
    return Recognizer(epsilon=8, **changes).parameters()


def test_small_pictures_have_the_network_with_group_norm_and_photographs_the_built_in_backbone():
    assert private_network_and_size(parameters(), 28)[:2] == ("groupnet", 28)
    network, size, _ = private_network_and_size(parameters(), 500)
    assert network.startswith(("lite", "timm:"))
    assert size >= 128


@pytest.mark.parametrize("network", ["speednet", "speednet-96"])
def test_a_network_that_is_fitted_to_the_pictures_is_refused(network):
    with pytest.raises(UsageError, match="fitted to the training pictures without noise"):
        private_network_and_size(parameters(network=network), 32)


class WithBatchNorm(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, classes)
        )

    def forward(self, images):
        return self.body(images)


class WithSpectralNorm(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.last = nn.utils.parametrizations.spectral_norm(nn.Linear(192, classes))

    def forward(self, images):
        return self.last(images.flatten(1))


def test_batch_norm_of_a_persons_network_is_replaced_and_spectral_norm_refused():
    network = build_private(WithBatchNorm, 3, 8, 0)
    assert any(isinstance(m, nn.GroupNorm) for m in network.modules())
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    with pytest.raises(UsageError, match="spectral norm"):
        build_private(WithSpectralNorm, 3, 8, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"minutes": 1}, "set by epochs, not by minutes"),
        ({"remedy": "balanced", "group": "background"}, "drawn with the same probability"),
        ({"epsilon": None, "delta": 1e-5}, "delta belongs to epsilon"),
        ({"epsilon": 0}, "epsilon must be a number from 0.05 to 100"),
    ],
)
def test_settings_that_would_break_the_promise_are_refused(changes, reason):
    with pytest.raises(UsageError, match=reason):
        Recognizer(**{"epsilon": 8, **changes})
