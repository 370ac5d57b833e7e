"""Linear discriminant analysis with shrinkage, and the space in which it separates the classes.

Every class is a normal distribution with a mean of its own and the covariance that all share; features are wide and
pictures few, so the covariance is shrunk towards a multiple of the identity (Friedman 1989, "Regularized discriminant
analysis"; Hastie, Tibshirani & Friedman, "The elements of statistical learning", section 4.3).
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.recognition.training.transfer.logistic_regression import LinearHead

MIN_SINGULAR_VALUE = 1e-4  # relative to the largest: directions with less of the classes' variance are left out


@dataclass(frozen=True)
class ClassStatistics:
    """Counts (K,), sums (K, D) and the second moment (D, D), a sum over pictures: they add up over sets of pictures."""

    counts: Tensor
    sums: Tensor
    moment: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int) -> Self:
        """Of (N, D) features with (N,) class numbers."""
        sums = torch.zeros(classes, features.shape[1], device=features.device).index_add_(0, labels, features)
        counts = torch.bincount(labels, minlength=classes).to(features.dtype)
        return cls(counts, sums, features.T @ features)

    def __sub__(self, other: "ClassStatistics") -> "ClassStatistics":
        """Those of the pictures that are left when others are taken out."""
        return ClassStatistics(self.counts - other.counts, self.sums - other.sums, self.moment - other.moment)

    @property
    def means(self) -> Tensor:
        """(K, D); that of all pictures for a class without any."""
        overall = self.sums.sum(0) / self.counts.sum()
        return torch.where(self.counts[:, None] > 0, self.sums / self.counts.clamp(min=1)[:, None], overall)


@dataclass(frozen=True)
class DiscriminantAnalysis:
    """The fitted analysis.

    Attributes
    ----------
    means
        (K, D) of the classes.
    factor
        (D, D) lower triangular Cholesky factor of the shrunk covariance within classes.
    shares
        (K,) of the pictures; half a picture's for a class without any.
    """

    means: Tensor
    factor: Tensor
    shares: Tensor

    @classmethod
    def fit(cls, statistics: ClassStatistics, shrinkage: float) -> Self:
        """Fit it to statistics of features; ``shrinkage``, 0 to 1, is the identity's share of the covariance."""
        means, total = statistics.means, statistics.counts.sum()
        within = (statistics.moment - (means * statistics.counts[:, None]).T @ means) / total
        scale = within.diagonal().mean().clamp(min=1e-12)
        identity = torch.eye(len(within), device=within.device)
        factor = torch.linalg.cholesky((1 - shrinkage) * within + shrinkage * scale * identity)
        return cls(means, factor, statistics.counts.clamp(min=0.5) / total)

    def head(self) -> LinearHead:
        """The logarithms of the classes' probabilities, but for a constant: linear in the features."""
        weight = torch.cholesky_solve(self.means.T, self.factor).T
        return LinearHead(weight, self.shares.log() - (weight * self.means).sum(1) / 2)

    def projection(self) -> tuple[Tensor, Tensor]:
        """(d, D) and (d,): ``features · projectionᵀ − shift``, d < K.

        There the covariance within classes is the identity, and the classes' means vary in every direction.
        """
        centre = self.shares @ self.means / self.shares.sum()
        between = torch.linalg.solve_triangular(self.factor, (self.means - centre).T, upper=False)  # (D, K)
        directions, values, _ = torch.linalg.svd(between * self.shares.sqrt(), full_matrices=False)
        directions = directions[:, values > MIN_SINGULAR_VALUE * values[0]]
        projection = torch.linalg.solve_triangular(self.factor.T, directions, upper=True).T
        return projection, projection @ centre


def project(features: Tensor, projection: Tensor, shift: Tensor) -> Tensor:
    """(N, d) of unit length, of (N, D) features."""
    return F.normalize(features @ projection.T - shift, dim=1)
