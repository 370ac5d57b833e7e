"""Out-of-distribution detection: three scores of how familiar a picture is, and the threshold of "unknown".

response
    How strongly the likeliest class responds: the largest logit (Hendrycks et al. 2022, "Scaling out-of-distribution
    detection for real-world settings"). It serves log-probabilities as well, whose energy is always 0.
nearness
    The cosine similarity to the nearest training picture (Sun et al. 2022, "Out-of-distribution detection with deep
    nearest neighbors"). One neighbour, since a class of another set is still similar to many pictures of this one.
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

OOD_SCORES = ("response", "nearness", "detail")
SHARE = 0.05  # of known pictures that is flagged unknown: false alarms
NORMAL_TAIL = 1.6449  # standard deviations below the mean, under which a normal distribution has that share
MIN_DEVIATION = 1e-3  # of a score, since embeddings are stored in 16 bits: smaller differences mean nothing
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
        std = std.clamp(min=MIN_DEVIATION)
        scale = cls(tuple(mean.tolist()), tuple(std.tolist()), 0.0, n)
        return replace(scale, threshold=familiarity_threshold(scale.familiarity(scores)))

    def familiarity(self, scores: Tensor) -> Tensor:
        """(N,) float64, at most 0, of (N, 3) scores; NaN where they are NaN.

        Σ log p, where p is the probability that a further known picture has a lower score.
        """
        familiarity: Tensor = torch.special.log_ndtr(self.normal_deviates(scores.double())).sum(1)
        return familiarity

    def normal_deviates(self, scores: Tensor) -> Tensor:
        """(N, 3): below each is the share of a normal distribution that is the share of known pictures below a score.

        By Student's t with n − 1 degrees of freedom, since mean and deviation rest on n pictures, and Wallace's normal
        approximation of it (1959).
        """
        freedom = max(1, self.n - 1)
        mean, std = (torch.tensor(values, dtype=scores.dtype) for values in (self.mean, self.std))
        t = (scores - mean) / std / (1 + 1 / self.n) ** 0.5
        size = (freedom * (t.square() / freedom).log1p()).sqrt()
        deviates: Tensor = t.sign() * (8 * freedom + 1) / (8 * freedom + 3) * size
        return deviates

    def to_json(self) -> dict[str, Any]:
        """The block "familiarity" of ``model.json``: the fields."""
        return {"mean": self.mean, "std": self.std, "threshold": self.threshold, "n": self.n}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "FamiliarityScale":
        """The inverse of :meth:`to_json`."""
        return cls(tuple(values["mean"]), tuple(values["std"]), float(values["threshold"]), int(values["n"]))


def ood_scores(outputs: Outputs, index: EmbeddingIndex) -> Tensor:
    """(N, 3) float32: response, nearness and detail of N pictures; higher is more familiar."""
    return torch.stack((response(outputs.logits), _nearness(outputs.features, index), _detail(outputs, index)), 1)


def response(logits: Tensor) -> Tensor:
    """(N,) the largest of (N, K) logits."""
    return logits.amax(1)


def response_threshold(responses: Tensor) -> float:
    """The response below which a picture is flagged unknown, in a recognizer without an embedding index.

    For fewer than 19 known pictures it is the 5 % quantile of a normal distribution with their mean and deviation.
    """
    known = responses.double()
    return familiarity_threshold(known, float(known.mean() - NORMAL_TAIL * known.std(correction=0)))


def familiarity_threshold(familiarity: Tensor, default: float = len(OOD_SCORES) * math.log(SHARE)) -> float:
    """The familiarity below which a picture is flagged unknown: the k-th lowest of n known pictures.

    k = ⌊0.05 (n + 1)⌋, so that on average over such sets of n, a share of k/(n + 1) of further known pictures falls
    under it. For fewer than 19 pictures k is 0, and the threshold is ``default``, or the lowest of theirs if that is
    lower. The default is the 5 % quantile of familiarity if all scores always agreed, 3 log 0.05.
    """
    ascending = familiarity.double().sort().values
    k = threshold_rank(len(ascending))
    return float(ascending[k - 1]) if k else min(float(ascending[0]), default)


def threshold_rank(n: int) -> int:
    """The rank of the threshold among n familiarities, from the lowest; 0 if n is too small."""
    return int(SHARE * (n + 1) + 1e-9)


def _nearness(features: Tensor, index: EmbeddingIndex) -> Tensor:
    similarities, _ = index.nearest(F.normalize(features, dim=1), 1)
    return similarities[:, 0]


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
