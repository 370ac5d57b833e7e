"""Gradients of single pictures: clipped one by one, and noised once."""

import pytest
import torch
from torch import nn

from diptych.engine.privacy.gradients import add_clipped, gradients_of_pictures, set_noised
from diptych.synthesis.networks.unet import UNet

CLIP = 0.5


class Both(nn.Module):
    """A network with the layers that Diptych's own use; its loss is a mean over pictures."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))

    def forward(self, images):
        return self.body(images).square().sum(1).mean()


def one_by_one(loss, parameters, pictures, clip):
    """The clipped gradients' sum, a picture at a time by torch alone."""
    totals = [torch.zeros_like(p) for p in parameters]
    for part in pictures:
        gradients = torch.autograd.grad(loss(part), parameters)
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        for total, gradient in zip(totals, gradients, strict=True):
            total += gradient * min(1.0, clip / float(norm))
    return totals


def clipped(loss, module, images, copies=1):
    parameters = list(module.parameters())
    totals = [torch.zeros_like(p) for p in parameters]
    with gradients_of_pictures([module]):
        torch.autograd.backward(loss(images), inputs=parameters)
        add_clipped(totals, parameters, copies, CLIP)
    return totals


@pytest.mark.parametrize("copies", [1, 3])
def test_each_pictures_gradient_is_clipped_by_itself(copies):
    network, images = Both(), torch.randn(6, 3, 8, 8)
    totals = clipped(network, network, images, copies)
    expected = one_by_one(network, list(network.parameters()), images.split(copies), CLIP)
    for total, wanted in zip(totals, expected, strict=True):
        torch.testing.assert_close(total, wanted, rtol=1e-4, atol=1e-5)
    assert all(not hasattr(p, "grad_sample") for p in network.parameters())


def test_so_is_that_of_the_flows_network():
    network = UNet(size=8, classes=2, width=16, patch=2, multiples=[1])
    nn.init.normal_(network.last.weight, std=0.1)  # at zero no gradient would pass
    images, times, labels = torch.randn(3, 3, 8, 8), torch.rand(3), torch.tensor([0, 1, -1])
    totals = clipped(lambda x: network(x, times, labels).square().mean(), network, images)
    rows = [slice(i, i + 1) for i in range(3)]
    parameters = list(network.parameters())
    expected = one_by_one(
        lambda row: network(images[row], times[row], labels[row]).square().mean(), parameters, rows, CLIP
    )
    for total, wanted in zip(totals, expected, strict=True):
        torch.testing.assert_close(total, wanted, rtol=1e-3, atol=1e-4)


def test_a_gradient_that_is_no_number_counts_nothing():
    network, images = Both(), torch.randn(3, 3, 8, 8)
    without = clipped(network, network, images[:2])
    images[2] = torch.inf
    for total, wanted in zip(clipped(network, network, images), without, strict=True):
        torch.testing.assert_close(total, wanted)


def test_noise_of_the_deviation_is_added_over_the_expected_batch():
    p = nn.Parameter(torch.zeros(200, 100))
    set_noised([p], [torch.full((200, 100), 30.0)], torch.randn(20_000), 4.0, 10.0)
    assert float(p.grad.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(p.grad.std()) == pytest.approx(0.4, rel=0.03)
