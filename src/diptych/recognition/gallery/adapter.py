"""The adapter: a linear map, learned from labelled pictures, after which pictures of one thing lie nearer together.

Two steps. The variation within labels is whitened, so that what differs between pictures of one thing counts less:
that helps labels which the adapter never saw, too. Then the directions in which the labels' means vary are stretched,
which helps those it saw (linear discriminant analysis would keep these directions alone, and be worse on others).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.recognition.training.transfer.discriminant_analysis import ClassStatistics, DiscriminantAnalysis

SHRINKAGE = 0.3  # of the covariance within labels towards a multiple of the identity
STRETCH = 1.5  # of the directions between labels, beyond 1; more serves labels that it saw no better, others worse


@dataclass(frozen=True)
class Adapter:
    """Maps embeddings x (N, D) to (x − centre) · projectionᵀ, of unit length.

    Attributes
    ----------
    projection
        (D, D) float32.
    centre
        (D,) float32.
    labels
        Names of the labels that it was learned from.
    """

    projection: Tensor
    centre: Tensor
    labels: tuple[str, ...] = ()

    @classmethod
    def fit(cls, embeddings: Tensor, labels: Tensor, names: Sequence[str] = ()) -> Self:
        """Learn it from (N, D) embeddings with (N,) int64 label numbers, at least two labels of two pictures."""
        statistics = ClassStatistics.of(embeddings, labels, int(labels.max()) + 1)
        analysis = DiscriminantAnalysis.fit(statistics, SHRINKAGE)
        identity = torch.eye(embeddings.shape[1])
        whitening = torch.linalg.solve_triangular(analysis.factor, identity, upper=False)
        centre = statistics.sums.sum(0) / statistics.counts.sum()
        means = (statistics.means - centre) * (statistics.counts / statistics.counts.sum()).sqrt()[:, None]
        directions, values, _ = torch.linalg.svd(whitening @ means.T, full_matrices=False)
        directions = directions[:, values > 1e-4 * values[0]]
        return cls(whitening + STRETCH * directions @ (directions.T @ whitening), centre, tuple(names))

    def __call__(self, embeddings: Tensor) -> Tensor:
        """(N, D) of unit length."""
        return F.normalize((embeddings - self.centre) @ self.projection.T, dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, for a model's file."""
        return {"projection": self.projection, "centre": self.centre}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], labels: Sequence[str]) -> Self | None:
        """The adapter of these tensors, learned from these labels; ``None`` where there are none."""
        return cls(tensors["projection"], tensors["centre"], tuple(labels)) if tensors else None
