"""Max pooling gives torch's numbers and gradients, on even and odd sides and in any memory format."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.recognition.networks.pooling import MaxPool


def both_ways(images: Tensor, *, training: bool) -> tuple[Tensor, Tensor]:
    """What is pooled, and the gradient of a weighted sum of it."""
    images = images.clone().requires_grad_()
    pooled = MaxPool().train(training)(images)
    weights = torch.arange(pooled.numel(), dtype=pooled.dtype).view_as(pooled)
    (pooled * weights).sum().backward()
    assert images.grad is not None
    return pooled.detach(), images.grad


def torchs_own(images: Tensor) -> tuple[Tensor, Tensor]:
    images = images.clone().requires_grad_()
    pooled = F.max_pool2d(images, 2)
    weights = torch.arange(pooled.numel(), dtype=pooled.dtype).view_as(pooled)
    (pooled * weights).sum().backward()
    assert images.grad is not None
    return pooled.detach(), images.grad


@pytest.mark.parametrize("height", [6, 7])
@pytest.mark.parametrize("width", [4, 9])
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("training", [True, False])
def test_numbers_and_gradients_are_torchs(height: int, width: int, memory: torch.memory_format, training: bool) -> None:
    images = torch.randn(3, 5, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = images.contiguous(memory_format=memory)
    for ours, theirs in zip(both_ways(images, training=training), torchs_own(images), strict=True):
        assert torch.equal(ours, theirs)


def test_of_equal_numbers_exactly_one_takes_the_gradient() -> None:
    images = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    _, gradient = both_ways(images, training=True)
    windows = F.unfold(gradient, 2, stride=2).view(2, 3, 4, 4)
    assert ((windows != 0).sum(2) <= 1).all()
    assert gradient.sum() == sum(range(24))
