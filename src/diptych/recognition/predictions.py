"""``Predictions``: what a recognizer predicts. Free of torch, which a portable recognizer does not need."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diptych.errors import PictureError


@dataclass(frozen=True)
class Predictions:
    """The predictions of a recognizer for N pictures, in the given order.

    Attributes
    ----------
    classes
        Names of the K classes.
    labels
        (N,) int64 class numbers, -1 for a picture that cannot be read; or (N, K) bool where a picture may have
        several labels (those whose probability reaches their threshold).
    names
        The class's name; several are joined by ", "; "" for a picture that cannot be read.
    confidence
        (N,) float32 in 0..1: the probability that the predicted label is correct; of several labels, that of the
        least certain decision. NaN for a picture that cannot be read.
    probabilities
        (N, K) float32, calibrated; a row of NaN for a picture that cannot be read.
    unknown
        (N,) bool: the picture is less familiar than 95 % of known pictures, or cannot be read. A hint: about 5 % of
        known pictures are flagged as well, and not every out-of-distribution one is.
    sets
        (N, K) bool: the conformal label set, which holds the true label of 90 % of pictures like those calibrated on
        (of several labels: 90 % of them, on average), and always the predicted label. All false for a picture that
        cannot be read; ``None`` from a model that was calibrated without sets.
    errors
        Row -> why this picture cannot be read.
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
