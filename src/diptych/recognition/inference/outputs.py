"""All that is seen of pictures in one pass: a network's logits and features, and how fine their detail is."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.recognition.inference.batched import run_in_chunks
from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import LogitsAndFeatures

OCTAVES = 4  # of detail: differences over 1, 2, 4 and 8 px
FAINTEST = 1e-4  # contrast energy that counts as none: a quarter of a level in 255


@dataclass(frozen=True)
class Outputs:
    """Of N pictures, float32 on the CPU; rows of pictures that cannot be read are NaN.

    Attributes
    ----------
    logits, features
        (N, K) and (N, D): see :class:`diptych.recognition.networks.Network`.
    slopes
        (N, 3): see :func:`detail_slopes`; fewer of pictures under 16 px.
    """

    logits: Tensor
    features: Tensor
    slopes: Tensor


def compute_outputs(
    network: Network, images: Images, size: int, title: str = "Predicting", forward: LogitsAndFeatures | None = None
) -> Outputs:
    """What is seen of pictures; see :func:`stream_outputs`."""
    parts = list(stream_outputs(network, images, size, title, forward))
    return Outputs(*(torch.cat([getattr(part, name) for part in parts]) for name in ("logits", "features", "slopes")))


def stream_outputs(
    network: Network, images: Images, size: int, title: str = "Predicting", forward: LogitsAndFeatures | None = None
) -> Iterator[Outputs]:
    """What is seen of pictures, about a thousand at a time, in order and in bounded memory.

    ``forward`` gives logits and features in place of the network's own ``both``, such as a quicker way to the same.
    """
    once = forward or network.logits_and_features
    ask = once if network.tta is None else network.tta.wrap(once)
    widths: list[int] = []

    def look(pictures: Tensor) -> Tensor:
        parts = [part.float() for part in (*ask(pictures), detail_slopes(pictures))]
        widths[:] = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    for some in run_in_chunks(network, look, images, size, title):
        yield Outputs(*torch.split(some, widths, 1))


def detail_slopes(images: Tensor) -> Tensor:
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
