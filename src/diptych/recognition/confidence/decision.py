"""The decision rule: from a network's logits to labels, confidence, label sets and the flag "unknown"."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.errors import ArtefactError, PictureError
from diptych.recognition.confidence import conformal, ood
from diptych.recognition.confidence.temperature import MULTI_LABEL_THRESHOLD, label_probabilities, probabilities
from diptych.recognition.predictions import Predictions


@dataclass(frozen=True)
class DecisionRule:
    """The calibration of one recognizer.

    Attributes
    ----------
    classes
        Names of the K classes.
    multi_label
        Whether a picture may have several labels.
    temperature
        Logits are divided by it.
    response_threshold
        A picture whose largest logit is lower is flagged unknown, where there is no familiarity to go by.
    pictures
        The number of pictures calibrated on.
    cutoff
        Probability from which on a label is in a picture's label set; ``None``: a model without label sets.
    label_thresholds
        (K,) probability from which on each label is predicted, where a picture may have several; empty: 0.5.
    scale
        The familiarity of known pictures; ``None``: the largest logit decides what is unknown.
    """

    classes: tuple[str, ...]
    multi_label: bool
    temperature: float = 1.0
    response_threshold: float = -float("inf")
    pictures: int = 0
    cutoff: float | None = None
    label_thresholds: tuple[float, ...] = ()
    scale: ood.FamiliarityScale | None = None

    def predictions(
        self, logits: Tensor, errors: Mapping[int, PictureError], familiarity: Tensor | None = None
    ) -> Predictions:
        """Predict from (N, K) logits, of which the rows in ``errors`` are NaN.

        ``familiarity`` is (N,) by :attr:`scale`; ``None``: the largest logit decides what is unknown.
        """
        readable = ~logits.isnan().any(1)
        calibrated = self.probabilities(logits)
        predicted = self.predicted_labels(calibrated)
        if self.multi_label:
            labels, confidence = predicted, calibrated.where(predicted, 1 - calibrated).amin(1)
            names = [", ".join(self.classes[i] for i in row.nonzero().flatten()) for row in predicted]
        else:
            labels, confidence = predicted.where(readable, -1), calibrated.amax(1)
            names = [self.classes[i] if i >= 0 else "" for i in labels.tolist()]
        return Predictions(
            self.classes,
            labels.numpy(),
            names,
            confidence.numpy(),
            calibrated.numpy(),
            self._unknown(logits, familiarity).numpy(),
            self.sets(calibrated),
            errors,
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K) calibrated probabilities."""
        calibrated = label_probabilities if self.multi_label else probabilities
        return calibrated(logits, self.temperature)

    def predicted_labels(self, probabilities: Tensor) -> Tensor:
        """The labels predicted from (N, K) probabilities: (N,) class numbers, or (N, K) bool."""
        if not self.multi_label:
            return probabilities.argmax(1)
        thresholds = torch.tensor(self.label_thresholds) if self.label_thresholds else MULTI_LABEL_THRESHOLD
        return probabilities >= thresholds

    def sets(self, probabilities: Tensor) -> NDArray[np.bool_] | None:
        """(N, K) bool: the conformal label sets, with the predicted labels; ``None`` without a cutoff."""
        if self.cutoff is None:
            return None
        conformal_sets = torch.from_numpy(conformal.prediction_sets(probabilities.numpy(), self.cutoff))
        predicted = self.predicted_labels(probabilities)
        if not self.multi_label:
            predicted = torch.nn.functional.one_hot(predicted, len(self.classes)).bool()
        return ((conformal_sets | predicted) & ~probabilities.isnan()).numpy()

    def to_json(self) -> dict[str, Any]:
        """The block "calibration" of ``model.json``: all fields but the classes."""
        return {
            "temperature": self.temperature,
            "response_threshold": self.response_threshold,
            "pictures": self.pictures,
            "set_target": conformal.TARGET,
            "set_cutoff": self.cutoff,
            "label_thresholds": list(self.label_thresholds),
            "familiarity": self.scale and self.scale.to_json(),
        }

    @classmethod
    def from_json(cls, classes: tuple[str, ...], multi_label: bool, values: Mapping[str, Any]) -> "DecisionRule":
        """The rule in the block "calibration" of ``model.json``; keys that a model lacks keep their defaults.

        Raises
        ------
        ArtefactError
            It is of an earlier version, which measured otherwise what is unknown.
        KeyError, TypeError
            It is damaged.
        """
        if "energy_threshold" in values:
            raise ArtefactError(
                "This recognizer was saved by an earlier version of Diptych, which measured otherwise what is unknown. "
                "Fit it again."
            )
        scale = values.get("familiarity")
        return cls(
            classes,
            multi_label,
            values["temperature"],
            values["response_threshold"],
            values.get("pictures", 0),
            values.get("set_cutoff"),
            tuple(values.get("label_thresholds", ())),
            None if scale is None else ood.FamiliarityScale.from_json(scale),
        )

    def _unknown(self, logits: Tensor, familiarity: Tensor | None) -> Tensor:
        """(N,) bool; true for NaN."""
        if familiarity is None or self.scale is None:
            return ~(ood.response(logits) >= self.response_threshold)
        return ~(familiarity >= self.scale.threshold)
