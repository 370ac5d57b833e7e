"""Patch features: deterministic, and worse pictures are farther away."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.metrics.distribution import kernel_distance
from diptych.metrics.patch_features import PatchFeatures

HELD_OUT, FURTHER = 300, 150


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
    """Digits to take filters from, held-out ones, further ones, and the labels of these."""
    images = Images.open("digits")
    rows = np.random.default_rng(0).permutation(len(images))
    held_out, further, reference = np.split(rows, [HELD_OUT, HELD_OUT + FURTHER])
    pixels = images.pixels(8)
    return pixels[reference], pixels[held_out], pixels[further], images.labels[further]


@pytest.fixture(scope="module")
def distance(digits):
    features = PatchFeatures(digits[0][:512])
    held_out = features(digits[1])
    return lambda pictures: kernel_distance(features(pictures), held_out)


def blurred(pictures: Tensor, share: float) -> Tensor:
    soft = F.avg_pool2d(F.pad(pictures.float(), (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (pictures + (soft - pictures) * share).round().to(torch.uint8)


def noisy(pictures: Tensor, strength: float) -> Tensor:
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    return (pictures + noise * strength).round().clamp(0, 255).to(torch.uint8)


def mixed(pictures: Tensor) -> Tensor:
    """Left halves with the right halves of others."""
    return torch.cat([pictures[..., :4], pictures.roll(1, 0)[..., 4:]], dim=3)


def test_real_pictures_have_no_distance(digits, distance):
    result = distance(digits[2])
    assert result.low < 0 < result.high


@pytest.mark.parametrize("degrade", [blurred, noisy])
def test_stronger_degradation_gives_a_larger_distance(digits, distance, degrade):
    steps = {blurred: (0.0, 0.3, 0.6, 1.0), noisy: (0.0, 30.0, 60.0, 120.0)}[degrade]
    distances = [distance(degrade(digits[2], step)) for step in steps]
    values = [d.value for d in distances]
    assert values == sorted(values)
    assert distances[-1].low > distances[1].high


def test_missing_kinds_and_mismatched_parts_are_detected(digits, distance):
    _, _, further, labels = digits
    for degraded in (further[labels < 3], further[:8].repeat(20, 1, 1, 1), mixed(further)):
        assert distance(degraded).low > max(0.0, distance(further).high)


def test_features_depend_on_pictures_and_seed_alone(digits):
    reference = digits[0][:100]
    torch.rand(3)  # the global generator's state must not matter
    assert torch.equal(PatchFeatures(reference)(digits[1]), PatchFeatures(reference)(digits[1]))
    assert not torch.equal(PatchFeatures(reference, seed=1)(digits[1]), PatchFeatures(reference)(digits[1]))


def test_flat_and_large_pictures_have_features():
    flat = torch.full((12, 3, 36, 36), 7, dtype=torch.uint8)
    assert torch.isfinite(PatchFeatures(flat)(flat)).all()
