import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from diptych import VAE, load
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.synthesis.likelihood import (
    MIN_LOG_SIGMA,
    discretised_nll,
    gaussian_kl,
    gaussian_nll,
    negative_elbo,
    optimal_log_sigma,
)


def _colours(n: int, spread: int) -> Images:
    """Two plain colours with noise of ``spread`` grey levels."""
    labels = np.arange(n) % 2
    pixels = np.random.default_rng(0).integers(0, spread, (n, 8, 8, 3)) + np.where(labels, 60, 160)[:, None, None, None]
    return Images.from_arrays(pixels.astype(np.uint8), labels, classes=("dark", "bright"))


def _level_nll(level: int, mean: float, sigma: float) -> float:
    picture = torch.full((1, 3, 1, 1), level, dtype=torch.uint8)
    return float(discretised_nll(picture, torch.full((1, 3, 1, 1), mean), torch.tensor(math.log(sigma)))) / 3


def test_kl_against_torch_distributions():
    mean, log_variance = torch.randn(4, 6), torch.randn(4, 6)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)
    assert gaussian_kl(torch.zeros(1, 2), torch.zeros(1, 2)).sum() == 0


def test_nll_against_torch_distributions():
    x, mean, log_sigma = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor(-0.7)
    expected = -Normal(mean, log_sigma.exp()).log_prob(x).sum(dim=(1, 2, 3))
    torch.testing.assert_close(gaussian_nll(x, mean, log_sigma), expected)


def test_the_optimal_sigma_is_a_minimum():
    x, mean = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    best = 0.5 * (x - mean).square().mean().log()
    torch.testing.assert_close(optimal_log_sigma(x, mean), best, atol=0.01, rtol=0)
    nll = [float(gaussian_nll(x, mean, best + shift).sum()) for shift in (-0.1, 0.0, 0.1)]
    assert nll[1] < min(nll[0], nll[2])


def test_sigma_is_bounded_where_the_decoder_is_exact():
    flat = torch.zeros(2, 3, 4, 4)
    assert MIN_LOG_SIGMA <= optimal_log_sigma(flat, flat) < MIN_LOG_SIGMA + 0.01


def test_the_bound_sums_over_values_and_latents_and_averages_over_pictures():
    nll, kl = torch.tensor([3.0, 5.0]), torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    total = sum(nll[i].item() + 4 * sum(kl[i].tolist()) for i in range(2))
    assert negative_elbo(nll, kl, beta=4.0).item() == pytest.approx(total / 2)


def test_the_bound_holds_where_the_evidence_is_known():
    # p(z) = N(0, 1), p(x|z) = N(z, 1), so p(x) = N(0, 2) and the exact posterior is N(x/2, 1/2).
    x = torch.tensor(0.8)
    mean, log_variance = (x / 2).reshape(1, 1), torch.tensor([[math.log(0.5)]])
    z = mean + torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0)) * 0.5**0.5
    nll = gaussian_nll(x.expand(200_000, 1, 1, 1), z[:, :, None, None], torch.tensor(0.0))
    bound = -negative_elbo(nll, gaussian_kl(mean, log_variance))
    assert bound.item() == pytest.approx(Normal(0.0, 2**0.5).log_prob(x).item(), abs=0.01)


@pytest.mark.parametrize(("mean", "sigma"), [(0.1, 0.3), (-0.98, 0.02), (1.3, 0.05)])
def test_the_probabilities_of_all_levels_sum_to_one(mean, sigma):
    assert sum(math.exp(-_level_nll(level, mean, sigma)) for level in range(256)) == pytest.approx(1)


def test_a_level_far_away_still_has_a_probability():
    far, further = _level_nll(255, -0.9, 0.01), _level_nll(255, -1.0, 0.01)
    assert math.isfinite(further)
    assert 10_000 < far < further


def test_a_wide_gaussian_is_its_density_times_the_level_s_width():
    density = math.exp(-((100 / 127.5 - 1 - 0.2) ** 2) / (2 * 0.25)) / math.sqrt(2 * math.pi * 0.25)
    assert _level_nll(100, 0.2, 0.5) == pytest.approx(-math.log(density / 127.5), abs=1e-3)


def test_bits_follow_the_information_in_the_pictures():
    vae = VAE(latent=4, epochs=12, batch=16).fit(_colours(120, 32))
    familiar, noisier = _colours(40, 32), _colours(40, 90)
    bits = vae.bits_per_dimension(familiar)
    assert bits.shape == (40,)
    assert math.log2(32) < bits.mean() < 8  # no code of noise is shorter than the noise
    assert vae.bits_per_dimension(noisier).mean() > bits.mean() + 0.5
    assert torch.equal(vae.bits_per_dimension(familiar[:3]), bits[:3])


def test_the_information_of_the_latents_is_saved(tmp_path):
    vae = VAE(latent=4, epochs=2, batch=16).fit(_colours(48, 32))
    again = load(vae.save(tmp_path / "model"))
    assert torch.equal(again.information_, vae.information_)
    assert again.information_.shape == (4,)
    assert torch.equal(again.bits_per_dimension(_colours(3, 9)), vae.bits_per_dimension(_colours(3, 9)))


def test_a_model_that_was_saved_without_a_noise_level_says_so():
    vae = VAE(latent=4, epochs=1, batch=16).fit(_colours(48, 32))
    older_weights = {name: module.state_dict() for name, module in vae.modules_.items() if name != "statistics"}
    vae._load(older_weights)
    assert len(vae.sample(2)) == 2
    with pytest.raises(UsageError, match="Fit it again"):
        vae.bits_per_dimension(_colours(3, 9))
