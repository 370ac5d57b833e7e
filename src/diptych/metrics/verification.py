"""Verification scores as pure functions: how often the answer is wrong whether two pictures show the same thing.

A pair is accepted as the same where its similarity reaches a threshold. FAR is the share of impostor pairs (of
different things) that are accepted, TAR the share of genuine pairs. Pairs share pictures and so are not independent:
intervals come from resampling the things themselves (Bolle, Ratha & Pankanti 2004, "Error analysis of pattern
recognition systems: the subsets bootstrap").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from diptych.metrics.intervals import bootstrap_interval

ROUNDS = 200  # of the bootstrap


@dataclass(frozen=True)
class Pairs:
    """Similarities of pairs.

    Attributes
    ----------
    genuine, impostor
        (G,) and (I,) float32 similarities of pairs of the same thing and of different things.
    genuine_things
        (G,) int64 the thing of each pair.
    impostor_things
        (I, 2) int64 the two things of each pair; things are numbered from 0.
    """

    genuine: Tensor
    genuine_things: Tensor
    impostor: Tensor
    impostor_things: Tensor

    @classmethod
    def join(cls, parts: "Sequence[Pairs]") -> Self:
        """All pairs of several sets of the same things."""
        names = ("genuine", "genuine_things", "impostor", "impostor_things")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    @property
    def things(self) -> int:
        """The largest number of a thing, and one."""
        numbers = torch.cat([self.genuine_things, self.impostor_things.flatten()])
        return int(numbers.max()) + 1 if len(numbers) else 0

    def weights(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """(G,) and (I,) how often each pair counts where each thing counts ``counts`` (T,) times."""
        first, second = self.impostor_things.T
        return counts[self.genuine_things], counts[first] * counts[second]


@dataclass(frozen=True)
class SortedScores:
    """Scores from the highest to the lowest.

    Attributes
    ----------
    values
        (P,) float64.
    order
        (P,) where each of them was; what is to be accepted came first.
    last
        (P,) bool: whether it is the last of equal scores.
    genuine
        How many are to be accepted.
    """

    values: Tensor
    order: Tensor
    last: Tensor
    genuine: int

    @classmethod
    def of(cls, genuine: Tensor, impostor: Tensor) -> Self:
        """Sort the scores of what is to be accepted (G,), and of what is not (I,)."""
        values, order = torch.cat([genuine, impostor]).double().sort(descending=True)
        return cls(values, order, torch.cat([values.diff() != 0, torch.ones(1, dtype=torch.bool)]), len(genuine))


@dataclass(frozen=True)
class ErrorRates:
    """Error rates at every threshold, from the highest threshold to the lowest.

    Attributes
    ----------
    thresholds, far, tar
        (P,) float64, the last two never falling.
    """

    thresholds: Tensor
    far: Tensor
    tar: Tensor

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """The rates of pairs."""
        return cls.of_scores(pairs.genuine, pairs.impostor)

    @classmethod
    def of_scores(cls, genuine_scores: Tensor, impostor_scores: Tensor) -> Self:
        """The rates of the scores of what is to be accepted and what is not, (G,) and (I,)."""
        return cls.of_sorted(SortedScores.of(genuine_scores, impostor_scores))

    @classmethod
    def of_sorted(
        cls, scores: "SortedScores", genuine_weights: Tensor | None = None, impostor_weights: Tensor | None = None
    ) -> Self:
        """The same of sorted scores, each counted once or by its weight."""
        genuine = torch.ones(scores.genuine) if genuine_weights is None else genuine_weights
        impostor = torch.ones(len(scores.order) - scores.genuine) if impostor_weights is None else impostor_weights
        accepted = torch.cat([genuine, torch.zeros(len(impostor))]).double()[scores.order].cumsum(0)
        passed = torch.cat([torch.zeros(len(genuine)), impostor]).double()[scores.order].cumsum(0)
        last = scores.last
        return cls(scores.values[last], passed[last] / passed[-1], accepted[last] / accepted[-1])

    def at_far(self, far: float) -> tuple[float, float]:
        """The threshold of the largest TAR whose FAR is at most ``far``, and this TAR; (infinity, 0) if there is none.

        It lies halfway between the last score that it has to accept and the next one, so that where the two kinds are
        far apart it is near neither.
        """
        position = int((self.far <= far).sum()) - 1
        if position < 0 or self.tar[position] == 0:
            return float("inf"), 0.0
        last = int((self.tar < self.tar[position]).sum())
        return float(self.thresholds[last : last + 2].mean()), float(self.tar[position])

    def equal_error_rate(self) -> float:
        """The rate at which as many impostors are accepted as genuine pairs are refused; between steps, their mean."""
        position = int((self.far - (1 - self.tar)).abs().argmin())
        return float((self.far[position] + 1 - self.tar[position]) / 2)


def false_accept_rate(pairs: Pairs, threshold: float) -> float:
    """FAR of a threshold that was chosen elsewhere."""
    return float((pairs.impostor >= threshold).double().mean())


def far_interval(pairs: Pairs, threshold: float, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the FAR of a threshold that was chosen elsewhere."""
    accepted = (pairs.impostor >= threshold).double()

    def far(rows: Tensor) -> float:
        _, weights = pairs.weights(_counts(rows, pairs.things))
        return float((accepted * weights).sum() / weights.sum().clamp(min=1))

    return bootstrap_interval(far, pairs.things, rounds=ROUNDS, seed=seed)


def tar_interval(pairs: Pairs, far: float, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the TAR at this FAR."""
    scores = SortedScores.of(pairs.genuine, pairs.impostor)
    return bootstrap_interval(
        lambda rows: _resampled(pairs, scores, rows).at_far(far)[1], pairs.things, rounds=ROUNDS, seed=seed
    )


def equal_error_interval(pairs: Pairs, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the equal error rate."""
    scores = SortedScores.of(pairs.genuine, pairs.impostor)
    return bootstrap_interval(
        lambda rows: _resampled(pairs, scores, rows).equal_error_rate(), pairs.things, rounds=ROUNDS, seed=seed
    )


def _resampled(pairs: Pairs, scores: SortedScores, rows: Tensor) -> ErrorRates:
    genuine, impostor = pairs.weights(_counts(rows, pairs.things))
    if not genuine.any() or not impostor.any():
        return ErrorRates.of_sorted(scores)
    return ErrorRates.of_sorted(scores, genuine, impostor)


def _counts(rows: Tensor, things: int) -> Tensor:
    return torch.bincount(rows, minlength=things)
