"""What a recognizer tells of pictures, and how it reads that from a network's answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.errors import PictureError
from diptych.recognition.calibration import familiarity, label_probabilities, probabilities

LABEL_SHOWN = 0.5  # a label of several is told from this probability on


@dataclass(frozen=True)
class Predictions:
    """What a recognizer tells of N pictures, in the order given.

    Attributes
    ----------
    classes
        Names of the K classes.
    labels
        (N,) int64 class numbers, -1 for a picture that cannot be read; or (N, K) bool where a picture may have
        several labels (those of probability 0.5 or more).
    names
        The class's name; several are joined by ", "; "" for a picture that cannot be read.
    confidence
        (N,) float32 in 0..1: the probability of the label told; of several labels, that of the least sure
        decision. NaN for a picture that cannot be read.
    probabilities
        (N, K) float32, calibrated; a row of NaN for a picture that cannot be read.
    unknown
        (N,) bool: the picture is less like those learned than 99 % of the validation pictures are (by energy), or
        cannot be read. A hint and no more: about 1 % of ordinary pictures get it, and many strange ones do not.
    errors
        Why a picture cannot be read, by row.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    names: list[str]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    errors: Mapping[int, PictureError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Reading:
    """How logits are read: the calibration of one recognizer."""

    classes: tuple[str, ...]
    multi_label: bool
    temperature: float = 1.0
    threshold: float = -float("inf")

    def predictions(self, logits: Tensor, errors: Mapping[int, PictureError]) -> Predictions:
        """Read (N, K) logits, of which the rows in ``errors`` are NaN."""
        good = ~logits.isnan().any(1)
        chances = self.probabilities(logits)
        told, sure = (chances >= LABEL_SHOWN), torch.maximum(chances, 1 - chances).amin(1)
        labels: Tensor = told
        if self.multi_label:
            names = [", ".join(self.classes[i] for i in row.nonzero().flatten()) for row in told]
        else:
            sure, labels = chances.max(1)
            labels = labels.where(good, -1)
            names = [self.classes[i] if i >= 0 else "" for i in labels.tolist()]
        unknown = ~(familiarity(logits, multi_label=self.multi_label) >= self.threshold)
        return Predictions(self.classes, labels.numpy(), names, sure.numpy(), chances.numpy(), unknown.numpy(), errors)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K) calibrated probabilities."""
        read = label_probabilities if self.multi_label else probabilities
        return read(logits, self.temperature)
