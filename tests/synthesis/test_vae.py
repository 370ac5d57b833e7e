import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from diptych.data.images import Images
from diptych.synthesis.training.augmentation import crop_for
from diptych.synthesis.vae import (
    LOWEST_LOG_SIGMA,
    VAE,
    gaussian_kl,
    gaussian_nll,
    negative_elbo,
    optimal_log_sigma,
)


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
    told = [float(gaussian_nll(x, mean, best + shift).sum()) for shift in (-0.1, 0.0, 0.1)]
    assert told[1] < min(told[0], told[2])


def test_sigma_is_bounded_where_the_decoder_is_exact():
    flat = torch.zeros(2, 3, 4, 4)
    assert LOWEST_LOG_SIGMA <= optimal_log_sigma(flat, flat) < LOWEST_LOG_SIGMA + 0.01


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


def test_few_pictures_are_shown_cut_out_in_training_and_made_whole():
    pixels = np.zeros((24, 20, 20, 3), np.uint8)
    pixels[:, :3] = pixels[:, -3:] = pixels[:, :, :3] = pixels[:, :, -3:] = 250  # a frame: a cut-out may lack it
    fitted = VAE(size=20, latent=4, epochs=150, batch=8).fit(Images.from_arrays(pixels))
    assert fitted.settings_["crop"] == crop_for(24, 20) == 0.6
    made = fitted.sample(4).pixels(20).float().mean((0, 1))
    edge = torch.cat([made[1], made[-2], made[:, 1], made[:, -2]]).mean()
    assert edge > 160
    assert made[8:12, 8:12].mean() < 60
