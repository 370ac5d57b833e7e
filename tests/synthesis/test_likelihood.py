import math

import numpy as np
import pytest
import torch

from diptych import VAE, load
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.synthesis.likelihood import discretised_nll


def _colours(n: int, spread: int) -> Images:
    """Two plain colours with noise of ``spread`` grey levels."""
    labels = np.arange(n) % 2
    pixels = np.random.default_rng(0).integers(0, spread, (n, 8, 8, 3)) + np.where(labels, 60, 160)[:, None, None, None]
    return Images.from_arrays(pixels.astype(np.uint8), labels, classes=("dark", "bright"))


def _of_level(level: int, mean: float, sigma: float) -> float:
    picture = torch.full((1, 3, 1, 1), level, dtype=torch.uint8)
    return float(discretised_nll(picture, torch.full((1, 3, 1, 1), mean), torch.tensor(math.log(sigma)))) / 3


@pytest.mark.parametrize(("mean", "sigma"), [(0.1, 0.3), (-0.98, 0.02), (1.3, 0.05)])
def test_the_probabilities_of_all_levels_sum_to_one(mean, sigma):
    assert sum(math.exp(-_of_level(level, mean, sigma)) for level in range(256)) == pytest.approx(1)


def test_a_level_far_away_still_has_a_probability():
    far, further = _of_level(255, -0.9, 0.01), _of_level(255, -1.0, 0.01)
    assert math.isfinite(further)
    assert 10_000 < far < further


def test_a_wide_gaussian_is_its_density_times_the_level_s_width():
    density = math.exp(-((100 / 127.5 - 1 - 0.2) ** 2) / (2 * 0.25)) / math.sqrt(2 * math.pi * 0.25)
    assert _of_level(100, 0.2, 0.5) == pytest.approx(-math.log(density / 127.5), abs=1e-3)


def test_bits_follow_how_much_there_is_to_tell():
    vae = VAE(latent=4, epochs=12, batch=16).fit(_colours(120, 32))
    usual, strange = _colours(40, 32), _colours(40, 90)
    bits = vae.bits_per_dimension(usual)
    assert bits.shape == (40,)
    assert math.log2(32) < bits.mean() < 8  # no code of noise is shorter than the noise
    assert vae.bits_per_dimension(strange).mean() > bits.mean() + 0.5
    assert torch.equal(vae.bits_per_dimension(usual[:3]), bits[:3])


def test_what_is_known_of_the_latents_is_saved(tmp_path):
    vae = VAE(latent=4, epochs=2, batch=16).fit(_colours(48, 32))
    again = load(vae.save(tmp_path / "model"))
    assert torch.equal(again.information_, vae.information_)
    assert again.information_.shape == (4,)
    assert torch.equal(again.bits_per_dimension(_colours(3, 9)), vae.bits_per_dimension(_colours(3, 9)))


def test_a_model_that_was_saved_without_a_noise_level_says_so():
    vae = VAE(latent=4, epochs=1, batch=16).fit(_colours(48, 32))
    older = {name: module.state_dict() for name, module in vae.modules_.items() if name != "statistics"}
    vae._load(older)
    assert len(vae.sample(2)) == 2
    with pytest.raises(UsageError, match="Fit it again"):
        vae.bits_per_dimension(_colours(3, 9))
