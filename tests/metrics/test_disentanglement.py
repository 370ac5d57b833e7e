"""On pictures with known factors, rendered here: bars at six positions in six shades."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from diptych import VAE
from diptych.data.images import Images
from diptych.metrics.disentanglement import discrete_entropy, mutual_information, mutual_information_gap

POSITIONS, SHADES = 6, 6


def rendered() -> tuple[Images, Tensor]:
    """Bars of 8 px on a dark ground, with a little noise, and the position and shade of each."""
    factors = list(itertools.product(range(POSITIONS), range(SHADES), range(8)))
    pixels = np.random.default_rng(0).integers(20, 28, (len(factors), 8, 8, 3), np.uint8)
    for picture, (position, shade, _) in zip(pixels, factors, strict=True):
        picture[2:6, position : position + 3] += 70 + 30 * shade
    return Images.from_arrays(pixels), torch.tensor(factors)[:, :2]


def measured(images: Images) -> Tensor:
    """(N, 2): the centre of the brightness, and its sum."""
    bright = images.pixels(8).double().mean(dim=1) - 24
    across = bright.sum(dim=1)
    return torch.stack([(across * torch.arange(8)).sum(1) / across.sum(1), across.sum(1)], dim=1)


def test_one_latent_per_factor_has_a_gap_and_mixtures_have_none() -> None:
    images, factors = rendered()
    latents = measured(images)
    assert mutual_information_gap(latents, factors).min() > 0.7
    units = (latents - latents.mean(0)) / latents.std(0)
    rotated = units @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).double()
    assert mutual_information_gap(rotated, factors).max() < 0.15
    twice = torch.cat([latents, latents], dim=1)
    torch.testing.assert_close(mutual_information_gap(twice, factors), torch.zeros(2).double())


def test_mutual_information_against_a_direct_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randint(0, 3, (500, 1), generator=generator)
    coins = torch.randint(0, 2, (500,), generator=generator)
    latent = (factor[:, 0] * coins).double()
    total = 0.0
    for a, b in itertools.product(range(3), range(3)):
        both = ((latent == a) & (factor[:, 0] == b)).double().mean().item()
        independent = (latent == a).double().mean().item() * (factor[:, 0] == b).double().mean().item()
        total += both * math.log(both / independent) if both else 0.0
    information = mutual_information(
        torch.stack([latent, torch.randn(500, generator=generator)], dim=1), factor, bins=50
    )
    assert information[0, 0].item() == pytest.approx(total)
    assert information[1, 0] < total
    assert discrete_entropy(factor[:, 0]).item() == pytest.approx(math.log(3), abs=0.01)


def test_a_vae_with_a_large_beta_uses_as_many_latents_as_there_are_factors() -> None:
    images, factors = rendered()
    vae = VAE(beta=30.0, latent=3, epochs=20, batch=32).fit(images)
    first, second, third = vae.information_[vae.information_.argsort(descending=True)].tolist()
    assert min(first, second) > 1  # bits
    assert third < 0.3
    gaps = mutual_information_gap(vae.encode(images), factors)
    information = mutual_information(vae.encode(images), factors).sum(dim=1)
    assert information.argmin() == vae.information_.argmin()
    assert ((gaps >= 0) & (gaps <= 1)).all()
