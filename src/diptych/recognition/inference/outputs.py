"""All outputs for pictures in one pass: logits, features, and how fine the pictures' detail is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.recognition.inference.batched import run_in_chunks
from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import LogitsAndFeatures

OCTAVES = 4  # of detail: differences at scales of 1, 2, 4 and 8 px
MIN_ENERGY = 1e-4  # of contrast, added to each octave's: a quarter of a level in 255


@dataclass(frozen=True)
class Outputs:
    """Outputs for N pictures, float32 on the CPU; rows of pictures that cannot be read are NaN.

    Attributes
    ----------
    logits, features
        (N, K) and (N, D): see :class:`diptych.recognition.networks.Network`.
    slopes
        (N, 3): see :func:`spectral_slopes`; fewer columns for pictures under 16 px.
    """

    logits: Tensor
    features: Tensor
    slopes: Tensor

    def rows(self, rows: NDArray[np.int64]) -> "Outputs":
        """Those for the pictures in these rows."""
        index = torch.from_numpy(rows)
        return Outputs(self.logits[index], self.features[index], self.slopes[index])


def compute_outputs(
    network: Network, images: Images, size: int, title: str = "Predicting", forward: LogitsAndFeatures | None = None
) -> Outputs:
    """The outputs for all pictures; see :func:`stream_outputs`."""
    parts = list(stream_outputs(network, images, size, title, forward))
    return Outputs(*(torch.cat([getattr(part, name) for part in parts]) for name in ("logits", "features", "slopes")))


def stream_outputs(
    network: Network, images: Images, size: int, title: str = "Predicting", forward: LogitsAndFeatures | None = None
) -> Iterator[Outputs]:
    """The outputs for about a thousand pictures at a time, in order and in bounded memory.

    Parameters
    ----------
    title
        Of the progress bar.
    forward
        Used in place of ``network.logits_and_features``, such as a faster backend; ``None``: the network's own.
    """
    once = forward or network.logits_and_features
    augmented = once if network.tta is None else network.tta.wrap(once)
    widths: list[int] = []

    def concatenated(pictures: Tensor) -> Tensor:
        parts = [part.float() for part in (*augmented(pictures), spectral_slopes(pictures))]
        widths[:] = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    for chunk in run_in_chunks(network, concatenated, images, size, title):
        yield Outputs(*torch.split(chunk, widths, 1))


def spectral_slopes(images: Tensor) -> Tensor:
    """How contrast grows from each octave of detail to the next, (B, octaves − 1), of (B, 3, S, S) in [-1, 1].

    Natural logarithm of the ratio of the mean squared differences between neighbours, in grey, at scales of 1, 2, 4
    and 8 px. It does not depend on brightness and contrast.
    """
    grey, energies = images.float().mean(1, keepdim=True), []
    for scale in _scales(images.shape[-1]):
        coarse = F.avg_pool2d(grey, scale)
        across, down = coarse.diff(dim=3).square().mean((1, 2, 3)), coarse.diff(dim=2).square().mean((1, 2, 3))
        energies.append((across + down + MIN_ENERGY).log())
    return torch.stack(energies, 1).diff(dim=1)


def _scales(size: int) -> list[int]:
    return [2**octave for octave in range(OCTAVES) if size // 2**octave >= 2]
