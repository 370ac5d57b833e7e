"""``Predictions``: what a recognizer tells of pictures. Apart from torch, since a portable recognizer needs none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diptych.errors import PictureError


@dataclass(frozen=True)
class Predictions:
    """What a recognizer tells of N pictures, in the order given.

    Attributes
    ----------
    classes
        Names of the K classes.
    labels
        (N,) int64 class numbers, -1 for a picture that cannot be read; or (N, K) bool where a picture may have
        several labels (those that reach their thresholds).
    names
        The class's name; several are joined by ", "; "" for a picture that cannot be read.
    confidence
        (N,) float32 in 0..1: the probability that the label told is right; of several labels, that of the least
        sure decision. NaN for a picture that cannot be read.
    probabilities
        (N, K) float32, calibrated; a row of NaN for a picture that cannot be read.
    unknown
        (N,) bool: the picture is less familiar than 98 % of known pictures are, or cannot be read. A hint: about 2 %
        of ordinary pictures get it, and not every strange one does.
    sets
        (N, K) bool: the labels that it may be; of 90 % of pictures like those calibrated on, the true one is among
        them (of several labels: 90 % of them, on average). The label told always is. All false for a picture that
        cannot be read; ``None`` from a model that was calibrated before there were sets.
    errors
        Why a picture cannot be read, by row.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    names: list[str]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    sets: NDArray[np.bool_] | None = None
    errors: Mapping[int, PictureError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)
