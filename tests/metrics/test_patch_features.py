"""Features of patches: the same pictures give the same, and worse pictures are farther away."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.metrics.distribution import kernel_distance
from diptych.metrics.patch_features import PatchFeatures

HELD, MADE = 300, 150


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
    """Digits to take filters from, held-out ones, further ones, and what these show."""
    images = Images.open("digits")
    rows = np.random.default_rng(0).permutation(len(images))
    held, made, rest = np.split(rows, [HELD, HELD + MADE])
    pixels = images.pixels(8)
    return pixels[rest], pixels[held], pixels[made], images.labels[made]


@pytest.fixture(scope="module")
def distance(digits):
    features = PatchFeatures(digits[0][:512])
    held = features(digits[1])
    return lambda made: kernel_distance(features(made), held)


def blurred(pictures: Tensor, share: float) -> Tensor:
    soft = F.avg_pool2d(F.pad(pictures.float(), (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (pictures + (soft - pictures) * share).round().to(torch.uint8)


def noisy(pictures: Tensor, strength: float) -> Tensor:
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    return (pictures + noise * strength).round().clamp(0, 255).to(torch.uint8)


def mixed(pictures: Tensor) -> Tensor:
    """Left halves with the right halves of others."""
    return torch.cat([pictures[..., :4], pictures.roll(1, 0)[..., 4:]], dim=3)


def test_real_pictures_are_at_no_distance(digits, distance):
    found = distance(digits[2])
    assert found.low < 0 < found.high


@pytest.mark.parametrize("spoilt", [blurred, noisy])
def test_the_more_they_are_spoilt_the_farther_they_are(digits, distance, spoilt):
    steps = {blurred: (0.0, 0.3, 0.6, 1.0), noisy: (0.0, 30.0, 60.0, 120.0)}[spoilt]
    found = [distance(spoilt(digits[2], step)) for step in steps]
    values = [d.value for d in found]
    assert values == sorted(values)
    assert found[-1].low > found[1].high


def test_missing_kinds_and_parts_that_do_not_belong_together_are_seen(digits, distance):
    _, _, made, labels = digits
    for spoilt in (made[labels < 3], made[:8].repeat(20, 1, 1, 1), mixed(made)):
        assert distance(spoilt).low > max(0.0, distance(made).high)


def test_features_depend_on_pictures_and_seed_alone(digits):
    some = digits[0][:100]
    torch.rand(3)  # whatever was drawn before
    assert torch.equal(PatchFeatures(some)(digits[1]), PatchFeatures(some)(digits[1]))
    assert not torch.equal(PatchFeatures(some, seed=1)(digits[1]), PatchFeatures(some)(digits[1]))


def test_flat_and_large_pictures_have_features():
    flat = torch.full((12, 3, 36, 36), 7, dtype=torch.uint8)
    assert torch.isfinite(PatchFeatures(flat)(flat)).all()
