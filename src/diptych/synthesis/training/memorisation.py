"""Whether a model in training has begun to copy: more of what it makes counts as copies than of held-out pictures do.

What counts as a copy, and how near a picture comes by chance, is told by :mod:`diptych.metrics.memorisation`.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.metrics.intervals import difference
from diptych.metrics.memorisation import (
    MAX_SIDE,
    MIN_REAL,
    TrainingPictures,
    copy_threshold,
    is_copy,
    nearest_training,
)

AT_ONCE = 512  # pictures made small
SURE = 2.576  # standard deviations: 99 % intervals, since a run is looked at many times


class CopyRate(NamedTuple):
    """The share of made pictures that count as copies; ``clear`` if it is more than chance, without doubt."""

    value: float
    clear: bool


class CopyDetector:
    """Looks for copies of some pictures.

    Parameters
    ----------
    train, held
        (N, 3, S, S) and (M, 3, S, S) uint8: what the model learns from, and what it never sees.
    """

    def __init__(self, train: Tensor, held: Tensor) -> None:
        self._train = TrainingPictures(_small(train))
        by_chance = nearest_training(_small(held), self._train)
        self._bounds = copy_threshold(self._train, by_chance, enough=MIN_REAL)  # rough, and at once
        self._by_chance = int(is_copy(by_chance, self._bounds).sum()), len(held)

    def __call__(self, made: Tensor) -> CopyRate:
        """Of made pictures (N, 3, S, S) uint8."""
        hits = int(is_copy(nearest_training(_small(made), self._train), self._bounds).sum())
        return CopyRate(hits / len(made), difference(hits, len(made), *self._by_chance, SURE)[0] > 0)


def _small(pictures: Tensor) -> Tensor:
    if pictures.shape[-1] <= MAX_SIDE:
        return pictures
    # Some at a time: as floats the whole set would take four times its bytes.
    parts = (F.adaptive_avg_pool2d(some.float(), MAX_SIDE) for some in torch.split(pictures, AT_ONCE))
    return torch.cat([part.round().to(pictures.dtype) for part in parts])
