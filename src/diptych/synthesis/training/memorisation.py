"""Whether a model in training has begun to copy: more of its samples count as copies than of held-out pictures do.

:mod:`diptych.metrics.memorisation` defines what counts as a copy, and how near a picture comes by chance.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.metrics.intervals import difference_interval
from diptych.metrics.memorisation import (
    MAX_SIDE,
    MIN_REAL,
    TrainingPictures,
    copy_threshold,
    is_copy,
    nearest_training,
)

SHRINK_BATCH = 512  # pictures
Z = 2.576  # standard deviations: 99 % intervals, since a run is evaluated many times


class CopyRate(NamedTuple):
    """The share of samples that count as copies; ``significant`` if it is clearly more than chance."""

    value: float
    significant: bool


class CopyDetector:
    """Looks for copies of training pictures.

    Parameters
    ----------
    training, held_out
        (N, 3, S, S) and (M, 3, S, S) uint8: what the model is trained on, and what it never sees.
    """

    def __init__(self, training: Tensor, held_out: Tensor) -> None:
        self._training = TrainingPictures(_shrunken(training))
        by_chance = nearest_training(_shrunken(held_out), self._training)
        self._bounds = copy_threshold(self._training, by_chance, enough=MIN_REAL)  # rough, and at once
        self._by_chance = int(is_copy(by_chance, self._bounds).sum()), len(held_out)

    def __call__(self, samples: Tensor) -> CopyRate:
        """Of samples (N, 3, S, S) uint8."""
        copies = int(is_copy(nearest_training(_shrunken(samples), self._training), self._bounds).sum())
        return CopyRate(copies / len(samples), difference_interval(copies, len(samples), *self._by_chance, Z)[0] > 0)


def _shrunken(pictures: Tensor) -> Tensor:
    if pictures.shape[-1] <= MAX_SIDE:
        return pictures
    # In batches: as floats the whole set would take four times its bytes.
    batches = (F.adaptive_avg_pool2d(batch.float(), MAX_SIDE) for batch in torch.split(pictures, SHRINK_BATCH))
    return torch.cat([batch.round().to(pictures.dtype) for batch in batches])
