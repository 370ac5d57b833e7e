"""How a recognizer reads what it tells of pictures from a network's answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.errors import PictureError
from diptych.recognition.confidence import conformal, ood
from diptych.recognition.confidence.temperature import MULTI_LABEL_THRESHOLD, label_probabilities, probabilities
from diptych.recognition.predictions import Predictions


@dataclass(frozen=True)
class DecisionRule:
    """How a network's answers are read: the calibration of one recognizer.

    Attributes
    ----------
    temperature
        What logits are divided by.
    threshold
        A negative energy under this is told "unknown", where nothing but the logits is there to go by.
    pictures
        How many the calibration rests on.
    cutoff
        The probability from which on a label is in a picture's set; ``None``: not known.
    label_thresholds
        (K,) the probability from which on each label is told, where a picture may have several; empty: 0.5.
    scale
        How familiar known pictures are; ``None``: not known.
    """

    classes: tuple[str, ...]
    multi_label: bool
    temperature: float = 1.0
    threshold: float = -float("inf")
    pictures: int = 0
    cutoff: float | None = None
    label_thresholds: tuple[float, ...] = ()
    scale: ood.FamiliarityScale | None = None

    def predictions(
        self, logits: Tensor, errors: Mapping[int, PictureError], familiarity: Tensor | None = None
    ) -> Predictions:
        """Read (N, K) logits, of which the rows in ``errors`` are NaN.

        ``familiarity`` is (N,) by :attr:`scale`; without it the energy of the logits alone tells what is unknown.
        """
        good = ~logits.isnan().any(1)
        chances = self.probabilities(logits)
        told = self.told(chances)
        if self.multi_label:
            labels, sure = told, chances.where(told, 1 - chances).amin(1)
            names = [", ".join(self.classes[i] for i in row.nonzero().flatten()) for row in told]
        else:
            labels, sure = told.where(good, -1), chances.amax(1)
            names = [self.classes[i] if i >= 0 else "" for i in labels.tolist()]
        return Predictions(
            self.classes,
            labels.numpy(),
            names,
            sure.numpy(),
            chances.numpy(),
            self._unknown(logits, familiarity).numpy(),
            self.sets(chances),
            errors,
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K) calibrated probabilities."""
        read = label_probabilities if self.multi_label else probabilities
        return read(logits, self.temperature)

    def told(self, chances: Tensor) -> Tensor:
        """The labels told from (N, K) probabilities: (N,) class numbers, or (N, K) bool."""
        if not self.multi_label:
            return chances.argmax(1)
        return chances >= (torch.tensor(self.label_thresholds) if self.label_thresholds else MULTI_LABEL_THRESHOLD)

    def sets(self, chances: Tensor) -> NDArray[np.bool_] | None:
        """(N, K) bool: the conformal sets of (N, K) probabilities, and the labels told."""
        if self.cutoff is None:
            return None
        held = torch.from_numpy(conformal.label_sets(chances.numpy(), self.cutoff))
        told = self.told(chances)
        if not self.multi_label:
            told = torch.nn.functional.one_hot(told, len(self.classes)).bool()
        return ((held | told) & ~chances.isnan()).numpy()

    def json(self) -> dict[str, Any]:
        """As ``model.json`` holds it."""
        return {
            "temperature": self.temperature,
            "threshold": self.threshold,
            "pictures": self.pictures,
            "set_target": conformal.TARGET,
            "set_cutoff": self.cutoff,
            "label_thresholds": list(self.label_thresholds),
            "familiarity": self.scale and self.scale.json(),
        }

    @classmethod
    def restored(cls, classes: tuple[str, ...], multi_label: bool, told: Mapping[str, Any]) -> "DecisionRule":
        """The reading that ``model.json`` holds; what it does not tell is not known.

        Raises
        ------
        KeyError, TypeError
            It is damaged.
        """
        scale = told.get("familiarity")
        return cls(
            classes,
            multi_label,
            told["temperature"],
            told["threshold"],
            told.get("pictures", 0),
            told.get("set_cutoff"),
            tuple(told.get("label_thresholds", ())),
            None if scale is None else ood.FamiliarityScale.restored(scale),
        )

    def _unknown(self, logits: Tensor, familiarity: Tensor | None) -> Tensor:
        """(N,) bool; true of NaN."""
        if familiarity is None or self.scale is None:
            return ~(ood.energy(logits, multi_label=self.multi_label) >= self.threshold)
        return ~(familiarity >= self.scale.threshold)
