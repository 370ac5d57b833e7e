"""The decision rule as a torch module that converts to ONNX: the same formulas, with the constants precomputed."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.recognition.confidence import ood
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import spectral_slopes

ROUNDING_MARGIN = 1e-4  # the threshold is the familiarity of one picture, computed in float64
MIN_ERF_DEVIATIONS = -4.0  # below it the error function in float32 is no longer precise


class DecisionOutputs(nn.Module):
    """All that a recognizer predicts, from pictures (N, 3, S, S) in [-1, 1], logits (N, K) and features (N, D)."""

    def __init__(self, rule: DecisionRule, index: EmbeddingIndex | None) -> None:
        super().__init__()
        self.rule = rule
        self.familiarity = None if index is None or rule.scale is None else Familiarity(rule.scale, index)

    def forward(self, pictures: Tensor, logits: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Probabilities (N, K); labels, (N,) or (N, K) bool; unknown (N,) bool; sets (N, K) if the rule has them."""
        probabilities = self.rule.probabilities(logits)
        labels = self.rule.predicted_labels(probabilities)
        multi_label, scale = self.rule.multi_label, self.rule.scale
        if self.familiarity is None or scale is None:
            unknown = ~(ood.response(logits) >= self.rule.response_threshold)
        else:
            unknown = ~(self.familiarity(pictures, logits, features) >= scale.threshold - ROUNDING_MARGIN)
        if self.rule.cutoff is None:
            return probabilities, labels, unknown
        predicted = labels if multi_label else F.one_hot(labels, logits.shape[1]).bool()
        return probabilities, labels, unknown, (probabilities >= self.rule.cutoff) | predicted


class Familiarity(nn.Module):
    """The familiarity of pictures by three OOD scores; sources: :mod:`diptych.recognition.confidence.ood`."""

    embeddings: Tensor
    detail: Tensor
    precision: Tensor

    def __init__(self, scale: ood.FamiliarityScale, index: EmbeddingIndex) -> None:
        super().__init__()
        self.scale = scale
        centre, covariance = ood.detail_statistics(index)
        constants = {
            "embeddings": index.embeddings,  # stay in half precision: half the file
            "detail": centre,
            "precision": torch.linalg.inv(covariance),
        }
        for name, tensor in constants.items():
            self.register_buffer(name, tensor if name == "embeddings" else tensor.float())

    def forward(self, pictures: Tensor, logits: Tensor, features: Tensor) -> Tensor:
        """(N,) float32, 0 at most."""
        length = features.norm(dim=1, keepdim=True).clamp(min=1e-12)
        nearness = ((features / length) @ self.embeddings.float().T).amax(1).clamp(-1, 1)
        offsets = spectral_slopes(pictures) - self.detail
        detail = -((offsets @ self.precision) * offsets).sum(1).clamp(min=0).pow(1 / 3)
        scores = torch.stack((ood.response(logits), nearness, detail), 1)
        return _log_normal_cdf(self.scale.normal_deviates(scores)).sum(1)


def _log_normal_cdf(deviations: Tensor) -> Tensor:
    """The logarithm of Φ, which ONNX lacks: by the error function, and in the far tail by its asymptotic series."""
    near = deviations.clamp(min=MIN_ERF_DEVIATIONS)
    far = deviations.clamp(max=MIN_ERF_DEVIATIONS)
    inner = (0.5 * (1 + torch.erf(near / math.sqrt(2)))).log()
    square = far.square()
    series = 1 - 1 / square + 3 / square**2 - 15 / square**3
    outer = -square / 2 - (-far).log() - 0.5 * math.log(2 * math.pi) + series.log()
    return torch.where(deviations > MIN_ERF_DEVIATIONS, inner, outer)
