"""Sections 4 and 5 of docs/mathematics.md, GAN and VAE, against direct loops and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from diptych.engine.machine import Machine
from diptych.engine.machine_trial import run_microbatches
from diptych.engine.task import Recipe
from diptych.metrics.disentanglement import mutual_information_gap
from diptych.synthesis import gan, likelihood
from diptych.synthesis.networks.dcgan import Critic, Generator
from diptych.synthesis.training.config import TrainingConfig


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def value(real: Tensor, fake: Tensor) -> float:
    """V(D, G) of section 4, from probabilities."""
    mean_real = sum(math.log(1 / (1 + math.exp(-d))) for d in real.tolist()) / len(real)
    mean_fake = sum(math.log(1 - 1 / (1 + math.exp(-d))) for d in fake.tolist()) / len(fake)
    return mean_real + mean_fake


def test_the_critic_loss_is_minus_the_value() -> None:
    real, fake = torch.randn(7).double() * 3, torch.randn(5).double() * 3
    assert gan.critic_loss(real, fake).item() == pytest.approx(-value(real, fake))
    confident = gan.critic_loss(torch.tensor([-200.0]), torch.tensor([200.0]))
    assert confident.item() == pytest.approx(400.0)  # where the logarithm of a rounded 0 would be infinite


def test_the_best_critic_is_p_over_p_plus_q() -> None:
    # Pictures of three kinds, in these numbers among the real and the generated ones.
    real, generated = torch.tensor([6, 3, 1]), torch.tensor([1, 3, 6])
    p, q = real / real.sum(), generated / generated.sum()
    best = (p / q).log().requires_grad_()
    kinds = torch.arange(3)
    loss = gan.critic_loss(best[kinds.repeat_interleave(real)], best[kinds.repeat_interleave(generated)])
    (slope,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(slope, torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(best.sigmoid(), p / (p + q))
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    assert loss.item() == pytest.approx(math.log(4) - 2 * divergence.item())


def test_a_critic_that_cannot_distinguish_costs_log_4() -> None:
    assert gan.critic_loss(torch.zeros(4), torch.zeros(4)).item() == pytest.approx(math.log(4))


def test_the_generator_losses_and_what_their_gradients_do() -> None:
    for d in (-8.0, -1.0, 0.0, 3.0):
        probability = 1 / (1 + math.exp(-d))
        for loss, expected, slope in (
            (gan.minimax_loss, math.log(1 - probability), -probability),
            (gan.non_saturating_loss, -math.log(probability), -(1 - probability)),
        ):
            logit = torch.tensor([d], dtype=torch.float64, requires_grad=True)
            lost = loss(logit)
            lost.backward()
            assert lost.item() == pytest.approx(expected)
            assert logit.grad.item() == pytest.approx(slope)


def test_the_relativistic_loss_against_a_direct_loop() -> None:
    real, fake = torch.randn(7).double(), torch.randn(7).double()
    pairs = [math.log(1 + math.exp(f - r)) for r, f in zip(real.tolist(), fake.tolist(), strict=True)]
    assert gan.relativistic_loss(real, fake).item() == pytest.approx(sum(pairs) / 7)
    assert gan.relativistic_loss(real, real).item() == pytest.approx(math.log(2))


def test_the_penalty_of_a_linear_critic_is_its_squared_slope() -> None:
    slope = torch.randn(3, 4, 4)
    pictures = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = gan.gradient_penalty((pictures * slope).sum((1, 2, 3)), pictures)
    assert penalty.item() == pytest.approx(slope.square().sum().item(), rel=1e-5)


def test_the_layout_loss_is_the_bound_of_shrunken_pictures():
    generated, pictures = 2 * torch.rand(4, 3, 32, 32) - 1, 2 * torch.rand(4, 3, 32, 32) - 1
    kl = likelihood.gaussian_kl(torch.randn(2, 5), torch.randn(2, 5))
    difference = (generated - pictures)[:2]  # of the two that were encoded
    shrunken = sum(difference[..., row::2, column::2] for row in range(2) for column in range(2)) / 4
    variance = shrunken.square().mean().item()
    nll = 3 * 16 * 16 / 2 * (math.log(2 * math.pi * variance) + 1)
    # Not to the last digit: σ is bounded softly.
    assert gan.layout_loss(generated, pictures, kl).item() == pytest.approx(nll + kl.sum().item() / 2, rel=1e-2)
    assert gan.layout_loss(generated, pictures, kl[:0]).item() == 0


def test_each_player_is_stepped_by_its_own_loss() -> None:
    settings = {"loss": "relativistic", "augment": [], "penalty": 1.0, "betas": [0.0, 0.99]}
    game = gan.GAN(size=8, batch=8)._task(
        {"generator": Generator(size=8, classes=0, latent=4, width=8), "critic": Critic(size=8, classes=0, width=8)},
        TrainingConfig({"latent": 4}, batch=8, lr=1e-2, method_settings=settings),
    )
    stepped = []
    turns = run_microbatches(
        game, Recipe(batch=8, pictures=8), Machine(torch.device("cpu")), torch.rand(8, 3, 8, 8), torch.zeros(8)
    )
    for player, _ in turns:
        for name, parameters in game.players().items():
            moved = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in parameters]
            assert any(moved) == (name == player)
        for parameter in game.players()[player]:
            parameter.grad = None
        stepped.append(player)
    assert stepped == ["critic", "generator"]


def log_normal(x: float, mean: float, sigma: float) -> float:
    return -(((x - mean) / sigma) ** 2) / 2 - math.log(sigma * math.sqrt(2 * math.pi))


def test_the_gaussian_kl_is_the_integral() -> None:
    for mean, sigma in ((0.0, 1.0), (1.5, 0.3), (-0.7, 2.0)):
        width = sigma / 200
        points = [mean + width * step for step in range(-2000, 2001)]
        dense = [(log_normal(z, mean, sigma), log_normal(z, 0, 1)) for z in points]
        integral = sum(math.exp(q) * (q - p) * width for q, p in dense)
        kl = likelihood.gaussian_kl(torch.tensor([[mean]]), torch.tensor([[2 * math.log(sigma)]]))
        assert kl.item() == pytest.approx(integral, abs=1e-4)


def test_the_gaussian_likelihood_value_by_value() -> None:
    pictures, means = torch.randn(2, 3, 4, 4).double(), torch.randn(2, 3, 4, 4).double()
    nll = likelihood.gaussian_nll(pictures, means, torch.tensor(math.log(0.4)))
    for n in range(2):
        values = zip(pictures[n].flatten().tolist(), means[n].flatten().tolist(), strict=True)
        assert nll[n].item() == pytest.approx(-sum(log_normal(x, mean, 0.4) for x, mean in values))


def test_the_best_noise_level() -> None:
    pictures, means = torch.randn(4, 3, 4, 4), torch.zeros(4, 3, 4, 4)
    root = pictures.square().mean().sqrt().item()
    assert likelihood.optimal_log_sigma(pictures, means).exp().item() == pytest.approx(root + math.exp(-5), rel=1e-5)
    at = {k: likelihood.gaussian_nll(pictures, means, torch.tensor(math.log(k * root))).mean() for k in (0.95, 1, 1.05)}
    assert at[1] < at[0.95]
    assert at[1] < at[1.05]
    assert at[1].item() == pytest.approx(48 * (math.log(root) + 0.5 * math.log(2 * math.pi)) + 48 / 2, rel=1e-5)
    assert likelihood.optimal_log_sigma(means, means).item() == pytest.approx(-5, abs=0.01)  # copied exactly


def test_the_elbo_is_a_sum_over_values_and_latents() -> None:
    nll, kl = torch.tensor([100.0, 140.0]), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    by_hand = (100 + 4 * (1 + 2 + 3) + 140 + 4 * (4 + 5 + 6)) / 2
    assert likelihood.negative_elbo(nll, kl, beta=4.0).item() == by_hand


def test_a_better_reconstruction_lowers_the_vae_loss() -> None:
    pictures, kl = torch.randn(4, 3, 8, 8), torch.ones(4, 5)

    def loss(error: float) -> float:
        decoded = pictures + error * torch.randn_like(pictures)
        nll = likelihood.gaussian_nll(pictures, decoded, likelihood.optimal_log_sigma(pictures, decoded))
        return likelihood.negative_elbo(nll, kl).item()

    assert loss(0.1) < loss(0.3) < loss(1.0)


def test_the_elbo_meets_the_likelihood_at_the_true_posterior() -> None:
    # One latent and a linear decoder, x = a·z + noise: then p(x) and the posterior of z are Gaussian, and known.
    a, sigma = torch.tensor([0.5, -1.0, 2.0]).double().view(1, 3, 1, 1), 0.7
    picture = torch.tensor([0.3, -0.8, 1.1]).double().view(1, 3, 1, 1)
    covariance = a.view(3, 1) @ a.view(1, 3) + sigma**2 * torch.eye(3)
    marginal = torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance)
    log_likelihood = marginal.log_prob(picture.view(3)).item()
    precision = 1 + (a.square().sum() / sigma**2).item()
    posterior = (a * picture).sum().item() / sigma**2 / precision, precision**-0.5

    def elbo(mean: float, deviation: float) -> float:
        steps = torch.linspace(-8, 8, 4001).double()
        weights = torch.softmax(-(steps**2) / 2, 0)  # the expectation over z, by quadrature
        decoded = a * (mean + deviation * steps).view(-1, 1, 1, 1)
        nll = likelihood.gaussian_nll(picture.expand_as(decoded), decoded, torch.tensor(math.log(sigma)).double())
        kl = likelihood.gaussian_kl(torch.tensor([[mean]]).double(), torch.tensor([[2 * math.log(deviation)]]).double())
        return -likelihood.negative_elbo((weights * nll).sum()[None], kl).item()

    mean, deviation = posterior
    assert elbo(mean, deviation) == pytest.approx(log_likelihood, abs=1e-6)
    assert elbo(mean + 0.1, deviation) < log_likelihood - 1e-3
    assert elbo(mean, 1.3 * deviation) < log_likelihood - 1e-3


def test_the_probability_of_a_level_by_the_error_function() -> None:
    def below(x: float) -> float:
        return (1 + math.erf((x - 0.3) / (0.2 * math.sqrt(2)))) / 2

    for level in (0, 1, 100, 166, 254, 255):
        x = level / 127.5 - 1
        low = 0.0 if level == 0 else below(x - 1 / 255)
        high = 1.0 if level == 255 else below(x + 1 / 255)
        pixels = torch.full((1, 3, 1, 1), level, dtype=torch.uint8)
        nll = likelihood.discretised_nll(
            pixels, torch.full((1, 3, 1, 1), 0.3).double(), torch.tensor(math.log(0.2)).double()
        )
        assert nll.item() == pytest.approx(-3 * math.log(high - low), rel=1e-6)


def test_the_gap_of_tables_that_are_known() -> None:
    # Two factors of 2 and 4 values; the latents are the first factor, the second, and half of what the second says.
    every = torch.tensor(list(itertools.product(range(2), range(4), range(5))))
    first, second = every[:, 0], every[:, 1]
    latents = torch.stack([first, second, second // 2], dim=1)
    gaps = mutual_information_gap(latents.double(), torch.stack([first, second], dim=1))
    assert gaps.tolist() == pytest.approx([1.0, (math.log(4) - math.log(2)) / math.log(4)])
