"""The vote of the nearest pictures: each counts for its label, the more the nearer it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARPNESSES = (5.0, 10.0, 20.0)  # a sharper vote is left to the nearest picture alone
ABSENT = -2.0  # the similarity of a neighbour that there is not
NEIGHBOURS = 20  # that vote
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

    labels: NDArray[np.int64]
    similarities: NDArray[np.float32]

    def shares(self, sharpness: float) -> NDArray[np.float32]:
        """(Q, K) shares of the vote of each label, 0..1."""
        weights = np.exp(sharpness * (self.similarities - self.similarities[:, :1]))
        weights[self.similarities == ABSENT] = 0
        width = int(self.labels.max()) + 1 if self.labels.size else 1
        totals = np.zeros((len(self.labels), width), np.float32)
        np.add.at(totals, (np.arange(len(self.labels))[:, None], self.labels), weights)
        shares: NDArray[np.float32] = totals / totals.sum(1, keepdims=True).clip(1e-12)
        return shares

    def winners(self, sharpness: float) -> NDArray[np.int64]:
        """(Q,) int64 the labels that win."""
        return np.asarray(self.shares(sharpness).argmax(1))

    def familiarity(self, sharpness: float) -> NDArray[np.float32]:
        """(Q,) in 0..1: how near the nearest picture is, times how much the vote agrees; low for unknown things."""
        return np.asarray(self.similarities[:, 0].clip(0) * self.shares(sharpness).max(1))

    def log_likelihood(self, labels: NDArray[np.int64], sharpness: float) -> float:
        """Mean logarithm of the share of the vote that the right labels (Q,) have."""
        shares = self.shares(sharpness)
        own = np.where(labels < shares.shape[1], labels, 0)
        share = shares[np.arange(len(own)), own] * (labels < shares.shape[1])
        return float(np.log(share.clip(MIN_SHARE)).mean())
