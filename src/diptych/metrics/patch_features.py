"""What pictures are made of, as features: how often, how strongly and where the patches of a set occur in them.

One layer of convolution whose filters are patches of the pictures themselves, whitened (Coates, Ng & Lee 2011, "An
analysis of single-layer networks in unsupervised feature learning", section 3; filters drawn at random do nearly as
well there as learnt ones), at several scales, then both halves of what the filters answer, averaged over the quarters
of the picture. Nothing is trained and nothing is downloaded: a second of work, the same for the same pictures and seed.

Good for following one run, or comparing models of one set of pictures: distances of these features see blur, noise,
colours, missing kinds of pictures, and parts that do not go together. They do not know what is in a picture, and each
set has its own filters, so that they say nothing across sets: for a verdict take a trained network's features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 5  # of a patch, in pixels
FILTERS = 64  # a scale
DRAWN = 8192  # patches, from which the whitening is measured
SMALLEST = 8  # side of the coarsest scale, in pixels
PLACES = 16  # a side, at most, at which a patch is looked for
QUIET = 0.25  # answers below it count as none, in standard deviations
_BATCH = 256
_EVEN = 0.03  # of the mean variance, added before whitening, so that rounding is not taken for detail


@dataclass(frozen=True)
class _Scale:
    """Filters (K, 3, 5, 5) and biases (K,) at a side of so many pixels."""

    side: int
    filters: Tensor
    biases: Tensor

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) to (N, 8 * K)."""
        small = F.adaptive_avg_pool2d(pictures, self.side)
        answers = F.conv2d(small, self.filters, self.biases, stride=max(1, self.side // PLACES))
        both = torch.cat([F.relu(answers - QUIET), F.relu(-answers - QUIET)], dim=1)
        return F.adaptive_avg_pool2d(both, 2).flatten(1)


class PatchFeatures:
    """Turns pictures into features (N, D), by the patches of some of their like.

    Parameters
    ----------
    pictures
        (N, 3, S, S) uint8, whose patches and spread set the filters and units; a few hundred or more.
    seed
        Of the patches drawn.
    """

    def __init__(self, pictures: Tensor, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        side = pictures.shape[-1]
        sides = [side >> i for i in range(8) if side >> i >= SMALLEST] or [side]
        self._scales = [_scale(pictures, s, draw) for s in sides]
        self._mean, self._spread = torch.zeros(()), torch.ones(())
        plain = self(pictures)
        self._mean, spread = plain.mean(0), plain.std(0)
        self._spread = spread.clamp(min=1e-3 * float(spread.mean()) + 1e-9)

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 to (N, D) float32, each number of mean 0 and spread 1 over the pictures given first."""
        parts = []
        for some in torch.split(pictures, _BATCH):
            scaled = _unit(some)
            parts.append(torch.cat([scale(scaled) for scale in self._scales], dim=1))
        return (torch.cat(parts) - self._mean) / self._spread


def _unit(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1


def _scale(pictures: Tensor, side: int, draw: torch.Generator) -> _Scale:
    """Filters from patches drawn at random, whitened by the covariance of all that were drawn."""
    patch = min(SIDE, side)
    rows = torch.randint(0, len(pictures), (DRAWN,), generator=draw)
    places = torch.randint(0, side - patch + 1, (2, DRAWN), generator=draw)
    small = torch.cat([F.adaptive_avg_pool2d(_unit(some), side) for some in torch.split(pictures, _BATCH)])
    down, across = (place[:, None] + torch.arange(patch) for place in places)
    drawn = small[rows[:, None, None], :, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2).flatten(1).double()
    mean = drawn.mean(0)
    values, axes = torch.linalg.eigh((drawn - mean).T @ (drawn - mean) / len(drawn))
    whitening = axes @ torch.diag((values + _EVEN * values.mean() + 1e-9).rsqrt()) @ axes.T
    chosen = F.normalize((drawn[torch.randperm(DRAWN, generator=draw)[:FILTERS]] - mean) @ whitening, dim=1)
    filters = chosen @ whitening
    return _Scale(side, filters.float().view(-1, 3, patch, patch), -(filters @ mean).float())
