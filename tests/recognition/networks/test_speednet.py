import pytest
import torch
from torch.nn import functional as F

from diptych.recognition import networks
from diptych.recognition.networks import speednet
from diptych.recognition.networks.speednet import SpeedNet, Whitening


@pytest.mark.parametrize("stride", [1, 2])
def test_whitened_patches_are_uncorrelated_and_of_equal_variance(stride):
    draw = torch.Generator().manual_seed(0)
    smooth = F.avg_pool2d(torch.randn(200, 3, 18, 18, generator=draw), 3, 1)  # neighbours correlate
    whiten = Whitening(stride)
    whiten.adapt(smooth)
    whiten.stride = whiten.kernel_size  # the patches that it was estimated on
    outputs = whiten(smooth).transpose(0, 1).flatten(1)
    half = len(outputs) // 2
    assert torch.equal(outputs[half:], -outputs[:half])
    covariance = (outputs[:half] @ outputs[:half].T) / outputs.shape[1]
    assert torch.allclose(covariance, covariance.diagonal().diag(), atol=0.02)
    assert (covariance.diagonal() > 0.9).all()
    assert (covariance.diagonal() < 1.01).all()


def test_filters_start_as_the_identity():
    group = SpeedNet(10, 32).groups[1]
    maps = torch.rand(2, 64, 9, 9)
    assert torch.allclose(group.first(maps)[:, :64], maps, atol=1e-5)


def test_the_whitening_is_frozen_except_for_its_bias_early_in_the_run():
    network = SpeedNet(10, 32)
    assert not network.whiten.weight.requires_grad
    network.before_step(0.1)
    assert network.whiten.bias.requires_grad
    network.before_step(0.5)
    assert not network.whiten.bias.requires_grad


@pytest.mark.parametrize(("size", "stride", "groups"), [(8, 1, 3), (32, 1, 3), (48, 1, 3), (64, 2, 3), (128, 3, 3)])
def test_large_pictures_are_whitened_in_larger_patches(size, stride, groups):
    network = SpeedNet(2, size)
    assert network.whiten.stride == (stride, stride)
    assert len(network.groups) == groups
    assert 32 <= (size // stride) <= 48 or size < 32


def test_variants_grow_in_parameters():
    sizes = [sum(p.numel() for p in networks.build(name, classes=10, size=32).parameters()) for name in speednet.COSTS]
    assert sizes == sorted(sizes)
    assert list(speednet.COSTS) == list(speednet.VARIANTS)
    assert set(speednet.MIN_EPOCHS) <= set(speednet.VARIANTS)
    assert networks.build("speednet-96", classes=10, size=32).groups[0].deep


def test_more_time_affords_a_larger_variant():
    seconds_per_picture = 1 / 900  # as on two cores
    chosen = [speednet.best_variant(45_000, 60 * minutes, seconds_per_picture) for minutes in (0.2, 1, 4, 16)]
    assert chosen == ["speednet-s", "speednet-m", "speednet", "speednet-96"]
    assert speednet.best_variant(1800, 3600, seconds_per_picture) == "speednet"


def test_a_longer_run_has_a_lower_learning_rate():
    recipe = speednet.RECIPE
    assert recipe.peak_lr(10) == recipe.peak_lr(recipe.short_steps) == recipe.lr
    assert recipe.peak_lr(4 * recipe.short_steps) == pytest.approx(recipe.lr / 2)
