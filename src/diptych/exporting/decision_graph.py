"""How a network's answers are read, as a module that a graph can hold: the same formulas, constants worked out."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.recognition.confidence import ood
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import detail_slopes

ROUNDING = 1e-4  # the threshold is one picture's own familiarity, in float64
FAR = -4.0  # deviations, from where on the error function in float32 is no longer precise


class DecisionOutputs(nn.Module):
    """All that a recognizer tells, from pictures (N, 3, S, S) in [-1, 1], logits (N, K) and features (N, D)."""

    def __init__(self, reading: DecisionRule, memory: EmbeddingIndex | None) -> None:
        super().__init__()
        self.reading = reading
        familiar = memory is not None and reading.scale is not None
        self.familiarity = Familiarity(reading.scale, memory, multi_label=reading.multi_label) if familiar else None

    def forward(self, pictures: Tensor, logits: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Probabilities (N, K); labels, (N,) or (N, K) bool; unknown (N,) bool; and, if they are known, sets (N, K)."""
        chances = self.reading.probabilities(logits)
        labels = self.reading.predicted_labels(chances)
        several, scale = self.reading.multi_label, self.reading.scale
        if self.familiarity is None or scale is None:
            strange = ~(ood.energy(logits, multi_label=several) >= self.reading.energy_threshold)
        else:
            strange = ~(self.familiarity(pictures, logits, features) >= scale.threshold - ROUNDING)
        if self.reading.cutoff is None:
            return chances, labels, strange
        told = labels if several else F.one_hot(labels, logits.shape[1]).bool()
        return chances, labels, strange, (chances >= self.reading.cutoff) | told


class Familiarity(nn.Module):
    """How familiar pictures are; see :mod:`diptych.recognition.confidence.ood`, which tells the sources."""

    remembered: Tensor
    detail: Tensor
    precision: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, scale: Any, memory: Any, *, multi_label: bool) -> None:
        super().__init__()
        self.several, self.neighbours = multi_label, min(ood.NEIGHBOURS, len(memory))
        centre, covariance = ood.detail_statistics(memory)
        held = {
            "remembered": memory.embeddings,  # half precision: half the file
            "detail": centre,
            "precision": torch.linalg.inv(covariance),
            "centre": torch.tensor(scale.mean),
            "spread": torch.tensor(scale.std),
        }
        for name, tensor in held.items():
            self.register_buffer(name, tensor if name == "remembered" else tensor.float())

    def forward(self, pictures: Tensor, logits: Tensor, features: Tensor) -> Tensor:
        """(N,) float32, 0 at most."""
        length = features.norm(dim=1, keepdim=True).clamp(min=1e-12)
        alike = (features / length) @ self.remembered.float().T
        nearness = alike.topk(self.neighbours, dim=1).values.clamp(-1, 1).mean(1) * length[:, 0]
        off = detail_slopes(pictures) - self.detail
        detail = -((off @ self.precision) * off).sum(1).clamp(min=0).pow(1 / 3)
        signs = torch.stack((ood.energy(logits, multi_label=self.several), nearness, detail), 1)
        return _log_normal((signs - self.centre) / self.spread).sum(1)


def _log_normal(deviations: Tensor) -> Tensor:
    """The logarithm of Φ, which graphs have no word for: by the error function, far out by its asymptotic series."""
    near = deviations.clamp(min=FAR)
    far = deviations.clamp(max=FAR)
    inner = (0.5 * (1 + torch.erf(near / math.sqrt(2)))).log()
    square = far.square()
    series = 1 - 1 / square + 3 / square**2 - 15 / square**3
    outer = -square / 2 - (-far).log() - 0.5 * math.log(2 * math.pi) + series.log()
    return torch.where(deviations > FAR, inner, outer)
