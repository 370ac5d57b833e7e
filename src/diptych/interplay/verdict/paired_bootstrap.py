"""The gain of one way of training over another, with its interval: a paired bootstrap over test pictures and seeds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 2_000
LEVEL = 0.95

Correct = NDArray[np.bool_]  # (S, N) whether the model of each seed is right about each test picture
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: Floats) -> "Estimate":
        """With the percentiles of its bootstrap resamples."""
        tail = 50 * (1 - LEVEL)
        low, high = np.percentile(resampled, [tail, 100 - tail])
        return cls(float(value), float(low), float(high))

    def json(self) -> dict[str, float]:
        """``{"value", "low", "high"}``."""
        return {"value": self.value, "low": self.low, "high": self.high}


class PairedBootstrap:
    """Resamples of the test pictures, within each class, and of the seeds: the same for all that is compared.

    Seeds and pictures are drawn with replacement independently of each other, and each pair of them counts as often as
    both were drawn (Owen 2007, "The pigeonhole bootstrap", whose variance is never too small). A seed's two models are
    compared with each other, on the same pictures.

    Parameters
    ----------
    targets
        (N,) class numbers of the test pictures; classes without any are left out.
    seeds
        Their number S.
    """

    def __init__(self, targets: NDArray[np.int64], seeds: int, *, rounds: int = ROUNDS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.classes = np.unique(targets)
        self._rows = [np.flatnonzero(targets == label) for label in self.classes]
        self._seed_weights = rng.multinomial(seeds, [1 / seeds] * seeds, rounds) / seeds
        self._picture_weights = [
            (rng.multinomial(len(rows), [1 / len(rows)] * len(rows), rounds) / len(rows)).astype(np.float32)
            for rows in self._rows
        ]

    def recalls(self, values: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """(C,) means of (S, N) values over each class's pictures and the seeds, and (rounds, C) their resamples."""
        means = np.array([values[:, rows].mean() for rows in self._rows], np.float64)
        resampled = [
            ((weights @ values[:, rows].T) * self._seed_weights).sum(1)
            for rows, weights in zip(self._rows, self._picture_weights, strict=True)
        ]
        return means, np.stack(resampled, 1).astype(np.float64)

    def balanced_accuracy(self, correct: Correct) -> Estimate:
        """Mean recall over the classes, of one way of training."""
        means, resampled = self.recalls(correct.astype(np.float32))
        return Estimate.of(means.mean(), resampled.mean(1))

    def gain(self, correct: Correct, baseline: Correct) -> Estimate:
        """Balanced accuracy minus the baseline's."""
        means, resampled = self.recalls(correct.astype(np.float32) - baseline.astype(np.float32))
        return Estimate.of(means.mean(), resampled.mean(1))

    def class_gains(self, correct: Correct, baseline: Correct) -> list[Estimate]:
        """The same of each class's recall, in the order of ``classes``."""
        means, resampled = self.recalls(correct.astype(np.float32) - baseline.astype(np.float32))
        return [Estimate.of(mean, column) for mean, column in zip(means, resampled.T, strict=True)]
