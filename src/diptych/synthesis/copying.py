"""Whether a model in training has begun to copy: made pictures nearer to one training picture than held-out ones are.

Nearness alone says little: soft pictures lie near many others. A copy lies near *one* picture, so what counts is the
distance to the nearest training picture over that to the tenth nearest, among small pictures, mirrored ones included.
Held-out pictures, which nobody can have copied, show how low this goes by chance.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.transforms import to_float
from diptych.metrics.intervals import wilson

SIDE = 8  # of the small pictures, in pixels
FARTHER = 10  # the neighbour that the nearest one is measured against
CHANCE = 0.02  # of held-out pictures look like copies, by the line that is drawn
SURE = 2.576  # standard deviations: 99 % intervals, since a run is looked at many times
_BATCH, _ROWS = 1024, 64


class CopyRate(NamedTuple):
    """The share of made pictures that look like copies; ``clear`` if it is more than chance, without doubt."""

    value: float
    clear: bool


class Copies:
    """Looks for copies of some pictures.

    Parameters
    ----------
    train, held
        (N, 3, S, S) and (M, 3, S, S) uint8: what the model learns from, and what it never sees.
    mirrored
        Whether it sees mirror images too.
    """

    def __init__(self, train: Tensor, held: Tensor, mirrored: bool) -> None:
        known = _small(train)
        if mirrored:
            known = torch.cat([known, _small(train.flip(3))])
        self._known = known
        ratios = self._ratios(held).sort().values
        rank = min(len(held), max(2, round(CHANCE * len(held))))
        self._line = float(ratios[rank - 1])
        self._chance = _highest_share(rank, len(held))

    def __call__(self, made: Tensor) -> CopyRate:
        """Of made pictures (N, 3, S, S) uint8."""
        hits = int((self._ratios(made) < self._line).sum())
        low, _ = wilson(hits, len(made), SURE)
        return CopyRate(hits / len(made), low > self._chance)

    def _ratios(self, pictures: Tensor) -> Tensor:
        """(N,) nearest over farther distance, 0..1: about 1 for pictures like many others, 0 for exact copies."""
        k = min(FARTHER, len(self._known))
        nearest = []
        for some in torch.split(_small(pictures), _ROWS):
            nearest.append(torch.cdist(some, self._known).topk(k, largest=False).values)
        distances = torch.cat(nearest)
        return distances[:, 0] / distances[:, -1].clamp(min=1e-6)


def _small(pictures: Tensor) -> Tensor:
    side = min(SIDE, pictures.shape[-1])
    return torch.cat([F.adaptive_avg_pool2d(to_float(some), side).flatten(1) for some in torch.split(pictures, _BATCH)])


def _highest_share(rank: int, n: int) -> float:
    """What share of all pictures may lie below the rank-th lowest of n, at most, in 99 of 100 cases: a beta quantile.

    The share below the r-th of n is distributed as Beta(r, n + 1 - r), whatever the pictures are.
    """
    from scipy.special import betaincinv

    return float(betaincinv(rank, n + 1 - rank, 0.995))
