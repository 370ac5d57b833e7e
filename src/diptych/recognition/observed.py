"""All that is seen of pictures in one pass: a network's logits and features, and how fine their detail is."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.recognition.answers import gathered, spread
from diptych.recognition.networks import Network

OCTAVES = 4  # of detail: differences over 1, 2, 4 and 8 px
FAINTEST = 1e-4  # contrast energy that counts as none: a quarter of a level in 255


@dataclass(frozen=True)
class Observed:
    """Of N pictures, float32 on the CPU; rows of pictures that cannot be read are NaN.

    Attributes
    ----------
    logits, features
        (N, K) and (N, D): see :class:`diptych.recognition.networks.Network`.
    slopes
        (N, 3): see :func:`slopes`; fewer of pictures under 16 px.
    """

    logits: Tensor
    features: Tensor
    slopes: Tensor

    def spread(self, rows: NDArray[np.bool_]) -> "Observed":
        """Put the N pictures' where ``rows`` is true; the others get NaN."""
        return Observed(*(spread(part, rows) for part in (self.logits, self.features, self.slopes)))


def observe(network: Network, images: Images, size: int, title: str = "Predicting") -> Observed:
    """What is seen of readable pictures."""
    widths: list[int] = []

    def look(pictures: Tensor) -> Tensor:
        parts = [part.float() for part in (*network.both(pictures), slopes(pictures))]
        widths[:] = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    whole = gathered(network, look, images, size, title)
    return Observed(*whole.split(widths, 1))


def slopes(images: Tensor) -> Tensor:
    """How contrast grows from each octave of detail to the next, (B, octaves − 1), of (B, 3, S, S) in [-1, 1].

    Natural logarithm of the ratio of the mean squared differences between neighbours, in grey, at scales of 1, 2, 4
    and 8 px. Brightness and contrast do not matter to it.
    """
    grey, energies = images.float().mean(1, keepdim=True), []
    for scale in _scales(images.shape[-1]):
        coarse = F.avg_pool2d(grey, scale)
        across, down = coarse.diff(dim=3).square().mean((1, 2, 3)), coarse.diff(dim=2).square().mean((1, 2, 3))
        energies.append((across + down + FAINTEST).log())
    return torch.stack(energies, 1).diff(dim=1)


def _scales(size: int) -> list[int]:
    return [2**octave for octave in range(OCTAVES) if size // 2**octave >= 2]
