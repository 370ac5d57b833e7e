import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.synthesis.training.memorisation import CopyDetector


@pytest.fixture(scope="module")
def digits():
    images = Images.open("digits")
    pixels = images.pixels(8)[torch.from_numpy(np.random.default_rng(0).permutation(len(images)))]
    return pixels[:1400], pixels[1400:1500], pixels[1500:1700]


def disguised(pictures):
    """Softer, darker, and with some noise."""
    soft = F.avg_pool2d(F.pad(pictures.float(), (1, 1, 1, 1)), 3, 1)
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0)) * 6
    return (0.95 * (0.9 * pictures + 0.1 * soft) + noise).round().clamp(0, 255).to(torch.uint8)


def test_fresh_pictures_are_no_copies(digits):
    training, held_out, fresh = digits
    rate = CopyDetector(training, held_out)(fresh)
    assert rate.value < 0.02
    assert not rate.significant


def test_disguised_and_mirrored_copies_are_detected(digits):
    training, held_out, fresh = digits
    for copied in (disguised(training[:200]), disguised(training[:200].flip(3))):
        rate = CopyDetector(training, held_out)(copied)
        assert rate.value > 0.8
        assert rate.significant
    mixed = CopyDetector(training, held_out)(torch.cat([disguised(training[:60]), fresh[:140]]))
    assert 0.2 < mixed.value < 0.4
    assert mixed.significant


def test_soft_pictures_near_many_are_no_copies(digits):
    training, held_out, _ = digits
    between = training[:400].float().view(100, 4, 3, 8, 8).mean(1).to(torch.uint8)
    assert not CopyDetector(training, held_out)(between).significant
