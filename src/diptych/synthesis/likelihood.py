"""The likelihood of a VAE: its bound in nats, and the probability of real pictures, whose values are 256 levels."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.engine.processes.shared_step import mean_over_processes

MIN_LOG_SIGMA = -5.0
HALF_LEVEL = 1 / 255  # of the range -1..1: a level extends so far to both sides


class GaussianStatistics(nn.Module):
    """Statistics of a VAE's training pictures, fitted after training.

    The buffers hold ``log_sigma``, the log of the decoder's σ, a scalar, and ``information`` (latent,), the KL of each
    latent in nats, averaged over pictures. NaN: unknown, as in a model that was saved before they existed.
    """

    log_sigma: Tensor
    information: Tensor

    def __init__(self, *, latent: int) -> None:
        super().__init__()
        self.register_buffer("log_sigma", torch.tensor(math.nan))
        self.register_buffer("information", torch.full((latent,), math.nan))

    def store(self, log_sigma: Tensor, information: Tensor) -> None:
        """Store both."""
        self.log_sigma.copy_(log_sigma)
        self.information.copy_(information)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each latent, ½(μ² + σ² − 1 − log σ²) (Kingma & Welling 2014, appendix B).

    (B, D) each, in nats; (B, D) is returned.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def gaussian_nll(pictures: Tensor, means: Tensor, log_sigma: Tensor) -> Tensor:
    """−log N(x; x̂, σ²), summed over a picture's values: D·(log σ + ½·log 2π) + ‖x − x̂‖² / 2σ².

    Pictures and means (B, 3, S, S), ``log_sigma`` a scalar; (B,) nats are returned.
    """
    values = pictures[0].numel()
    squares = (pictures - means).square().sum(dim=(1, 2, 3))
    return values * (log_sigma + 0.5 * math.log(2 * math.pi)) + 0.5 * squares * torch.exp(-2 * log_sigma)


def optimal_log_sigma(pictures: Tensor, means: Tensor) -> Tensor:
    """Log σ at which a batch is likeliest: σ² is its mean squared error (Rybkin et al. 2021, equation 9).

    Bounded softly above −5, so that a set of flat pictures cannot drive the likelihood to infinity.
    """
    error = mean_over_processes((pictures - means).square().mean()).clamp(min=1e-12)
    return MIN_LOG_SIGMA + F.softplus(0.5 * error.log() - MIN_LOG_SIGMA)


def negative_elbo(nll: Tensor, kl: Tensor, beta: float = 1.0) -> Tensor:
    """−ELBO_β = E[−log p(x|z)] + β·KL(q(z|x) ‖ p(z)), the mean over a batch (Higgins et al. 2017, equation 4).

    ``nll`` (B,) is summed over a picture's values and ``kl`` (B, D) is summed here over latents; a mean over
    either of them would be a β in disguise.
    """
    return nll.mean() + beta * kl.sum(dim=1).mean()


def discretised_nll(pixels: Tensor, means: Tensor, log_sigma: Tensor) -> Tensor:
    """−log P(x), P being the mass that N(x̂, σ²) puts on each value's level, summed over a picture's values.

    The two outer levels own all that lies beyond them, so that a value's 256 probabilities sum to 1 (Salimans et al.
    2017, "PixelCNN++", section 2.1, with a Gaussian; Ho et al. 2020, equation 13). In double precision, from the
    tail's logarithms: a value ten σ away has a probability that no difference of two CDFs distinguishes from 0.

    Parameters
    ----------
    pixels
        (B, 3, S, S) uint8.
    means
        (B, 3, S, S), about -1..1.
    log_sigma
        A scalar.

    Returns
    -------
    Tensor
        (B,) float64, in nats.
    """
    levels, sigma = pixels.double(), log_sigma.double().exp()
    middle = levels / 127.5 - 1 - means.double()
    low = torch.where(levels == 0, -math.inf, (middle - HALF_LEVEL) / sigma)
    high = torch.where(levels == 255, math.inf, (middle + HALF_LEVEL) / sigma)
    # The normal is symmetric: a level above the mean is replaced by its mirror image.
    above = low + high > 0
    low, high = torch.where(above, -high, low), torch.where(above, -low, high)
    upper = torch.special.log_ndtr(high)
    inside: Tensor = upper + torch.log(-torch.expm1(torch.special.log_ndtr(low) - upper))
    return -inside.sum(dim=(1, 2, 3))
