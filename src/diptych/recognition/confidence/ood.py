"""Out-of-distribution detection: three scores of how familiar a picture is, and the threshold of "unknown".

energy
    How strongly the classes respond: log Σ exp(logit) (Liu et al. 2020, "Energy-based out-of-distribution detection",
    equation 4); for several labels Σ log(1 + exp(logit)) (Wang et al. 2021).
nearness
    The cosine similarity to the nearest training pictures (Sun et al. 2022, "Out-of-distribution detection with deep
    nearest neighbors"), times the norm of the features, which is small where a network detects little that it has
    learned: the score of Tack et al. 2020, "CSI", equation 5.
detail
    How contrast changes from fine to coarse detail, a slope of the spectrum that natural pictures share
    (Torralba & Oliva 2003, "Statistics of natural image categories"), as the Mahalanobis distance to the training
    pictures (Lee et al. 2018). It detects drawings, noise and enlarged thumbnails, whatever they show.

Each score becomes the probability that a known picture has a lower one, and Fisher's method combines them
(Bergamin et al. 2022, "Model-agnostic out-of-distribution detection using combined statistical tests"). The threshold
is a conformal one (Bates et al. 2023, "Testing for outliers with conformal p-values").
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs

OOD_SCORES = ("energy", "nearness", "detail")
SHARE = 0.02  # of known pictures that is flagged unknown: false alarms
NORMAL_TAIL = 2.0537  # standard deviations below the mean, under which a normal distribution has that share
NEIGHBOURS = 10  # training pictures that nearness is the mean over
RIDGE = 1e-3  # added to the variance of the slopes, which is 0 for identical pictures


@dataclass(frozen=True)
class FamiliarityScale:
    """The distribution of the scores over n known pictures that were not trained on.

    Attributes
    ----------
    mean, std
        Mean and standard deviation of each score, in the order of ``OOD_SCORES``.
    threshold
        A picture with a familiarity under this is flagged unknown; at most 0.
    n
        The number of known pictures.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    threshold: float
    n: int

    @classmethod
    def of(cls, scores: Tensor) -> "FamiliarityScale":
        """Fit the scale to (n, 3) scores of :func:`ood_scores`."""
        scores, n = scores.double(), len(scores)
        mean = scores.mean(0)
        std = scores.std(0, correction=1) if n > 1 else mean.abs()
        std = std.clamp(min=1e-6 * (1 + float(mean.abs().max())))
        scale = cls(tuple(mean.tolist()), tuple(std.tolist()), 0.0, n)
        return replace(scale, threshold=familiarity_threshold(scale.familiarity(scores)))

    def familiarity(self, scores: Tensor) -> Tensor:
        """(N,) float64, at most 0, of (N, 3) scores; NaN where they are NaN.

        Σ log p, where p is the probability that a further known picture has a lower score: Student's t with n − 1
        degrees of freedom, since mean and deviation rest on n pictures (by Wallace's normal approximation, 1959).
        """
        freedom = max(1, self.n - 1)
        t = (scores.double() - torch.tensor(self.mean)) / torch.tensor(self.std) / (1 + 1 / self.n) ** 0.5
        z = t.sign() * (8 * freedom + 1) / (8 * freedom + 3) * (freedom * (t.square() / freedom).log1p()).sqrt()
        familiarity: Tensor = torch.special.log_ndtr(z).sum(1)
        return familiarity

    def to_json(self) -> dict[str, Any]:
        """The block "familiarity" of ``model.json``: the fields."""
        return {"mean": self.mean, "std": self.std, "threshold": self.threshold, "n": self.n}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "FamiliarityScale":
        """The inverse of :meth:`to_json`."""
        return cls(tuple(values["mean"]), tuple(values["std"]), float(values["threshold"]), int(values["n"]))


def ood_scores(outputs: Outputs, index: EmbeddingIndex, *, multi_label: bool) -> Tensor:
    """(N, 3) float32: energy, nearness and detail of N pictures; higher is more familiar."""
    scores = (
        energy(outputs.logits, multi_label=multi_label),
        _nearness(outputs.features, index),
        _detail(outputs, index),
    )
    return torch.stack(scores, 1)


def energy(logits: Tensor, *, multi_label: bool) -> Tensor:
    """(N,) the negative energy of (N, K) logits."""
    return F.softplus(logits).sum(1) if multi_label else logits.logsumexp(1)


def energy_threshold(energies: Tensor) -> float:
    """The negative energy below which a picture is flagged unknown, in a recognizer without an embedding index.

    For fewer than 49 known pictures it is the 2 % quantile of a normal distribution with their mean and deviation.
    """
    known = energies.double()
    return familiarity_threshold(known, float(known.mean() - NORMAL_TAIL * known.std(correction=0)))


def familiarity_threshold(familiarity: Tensor, default: float = len(OOD_SCORES) * math.log(SHARE)) -> float:
    """The familiarity below which a picture is flagged unknown: the k-th lowest of n known pictures.

    k = ⌊0.02 (n + 1)⌋, so that on average over such sets of n, a share of k/(n + 1) of further known pictures falls
    under it. For fewer than 49 pictures k is 0, and the threshold is ``default``, or the lowest of theirs if that is
    lower. The default is the 2 % quantile of familiarity if all scores always agreed, 3 log 0.02.
    """
    ascending = familiarity.double().sort().values
    k = threshold_rank(len(ascending))
    return float(ascending[k - 1]) if k else min(float(ascending[0]), default)


def threshold_rank(n: int) -> int:
    """The rank of the threshold among n familiarities, from the lowest; 0 if n is too small."""
    return int(SHARE * (n + 1) + 1e-9)


def _nearness(features: Tensor, index: EmbeddingIndex) -> Tensor:
    similarities, _ = index.nearest(F.normalize(features, dim=1), NEIGHBOURS)
    nearness: Tensor = similarities.mean(1) * torch.linalg.vector_norm(features, dim=1)
    return nearness


def detail_statistics(index: EmbeddingIndex) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of the indexed training pictures' slopes, float64."""
    slopes = index.slopes.double()
    mean = slopes.mean(0)
    centred = slopes - mean
    return mean, centred.T @ centred / len(slopes) + RIDGE * torch.eye(slopes.shape[1], dtype=torch.float64)


def _detail(outputs: Outputs, index: EmbeddingIndex) -> Tensor:
    """Minus the cube root of the squared distance, which is nearly normal (Wilson & Hilferty 1931)."""
    mean, covariance = detail_statistics(index)
    centred = outputs.slopes.double() - mean
    squared = (centred @ torch.linalg.inv(covariance) * centred).sum(1)
    detail: Tensor = -squared.clamp(min=0).pow(1 / 3)
    return detail.float()
