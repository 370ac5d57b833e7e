"""What a decoder's Gaussian says of real pictures, whose values are 256 levels: probabilities, and bits."""

import math

import torch
from torch import Tensor, nn

HALF_LEVEL = 1 / 255  # of the range -1..1: a level reaches so far to both sides


class Statistics(nn.Module):
    """What a VAE keeps of its training pictures once it is fitted.

    The buffers hold ``log_sigma``, the log of the decoder's σ, a scalar, and ``information`` (latent,), the KL of each
    latent in nats, averaged over pictures. NaN: not known, as in a model that was saved before they were kept.
    """

    log_sigma: Tensor
    information: Tensor

    def __init__(self, *, latent: int) -> None:
        super().__init__()
        self.register_buffer("log_sigma", torch.tensor(math.nan))
        self.register_buffer("information", torch.full((latent,), math.nan))

    def keep(self, log_sigma: Tensor, information: Tensor) -> None:
        """Store both."""
        self.log_sigma.copy_(log_sigma)
        self.information.copy_(information)


def discretised_nll(pixels: Tensor, means: Tensor, log_sigma: Tensor) -> Tensor:
    """−log P(x), P being the mass that N(x̂, σ²) puts on each value's level, summed over a picture's values.

    The two outer levels own all that lies beyond them, so that a value's 256 probabilities sum to 1 (Salimans et al.
    2017, "PixelCNN++", section 2.1, with a Gaussian; Ho et al. 2020, equation 13). In double precision, from the
    tail's logarithms: a value ten σ away has a probability that no difference of two CDFs could tell from 0.

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
    # The normal is symmetric: where the level lies above the mean, its mirror image is taken.
    above = low + high > 0
    low, high = torch.where(above, -high, low), torch.where(above, -low, high)
    upper = torch.special.log_ndtr(high)
    inside: Tensor = upper + torch.log(-torch.expm1(torch.special.log_ndtr(low) - upper))
    return -inside.sum(dim=(1, 2, 3))
