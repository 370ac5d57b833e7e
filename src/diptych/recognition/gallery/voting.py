"""The vote of the nearest pictures: each counts for its label, the more the nearer it is."""

from dataclasses import dataclass

import torch
from torch import Tensor

SHARPNESSES = (5.0, 10.0, 20.0)  # a sharper vote is left to the nearest picture alone
ABSENT = -2.0  # the similarity of a neighbour that there is not
MIN_SHARE = 0.01  # of the vote, where its logarithm is taken


@dataclass(frozen=True)
class Votes:
    """The k nearest pictures of each of Q pictures, nearest first.

    One of them counts exp(sharpness · (its similarity − that of the nearest)).

    Attributes
    ----------
    labels
        (Q, k) int64.
    similarities
        (Q, k) float32, -1..1, or :data:`ABSENT`.
    """

    labels: Tensor
    similarities: Tensor

    def shares(self, sharpness: float) -> Tensor:
        """(Q, K) shares of the vote of each label, 0..1."""
        weights = torch.exp(sharpness * (self.similarities - self.similarities[:, :1]))
        weights = weights.masked_fill(self.similarities == ABSENT, 0)
        width = int(self.labels.max()) + 1 if self.labels.numel() else 1
        totals = torch.zeros(len(self.labels), width).scatter_add_(1, self.labels, weights)
        return totals / totals.sum(1, keepdim=True).clamp(min=1e-12)

    def winners(self, sharpness: float) -> Tensor:
        """(Q,) int64 the labels that win."""
        return self.shares(sharpness).argmax(1)

    def familiarity(self, sharpness: float) -> Tensor:
        """(Q,) in 0..1: how near the nearest picture is, times how much the vote agrees; low for unknown things."""
        return self.similarities[:, 0].clamp(min=0) * self.shares(sharpness).amax(1)

    def log_likelihood(self, labels: Tensor, sharpness: float) -> float:
        """Mean logarithm of the share of the vote that the right labels (Q,) have."""
        shares = self.shares(sharpness)
        own = torch.where(labels < shares.shape[1], labels, 0)
        share = shares.gather(1, own[:, None])[:, 0] * (labels < shares.shape[1])
        return float(share.clamp(min=MIN_SHARE).log().mean())
