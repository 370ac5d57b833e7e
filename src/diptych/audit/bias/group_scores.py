"""A recognizer's scores on each group, and which are lower than elsewhere beyond chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.audit.bias.answers import Answers
from diptych.audit.bias.groups import Grouping
from diptych.metrics.classification import expected_calibration_error
from diptych.metrics.fairness import equalised_odds_gap
from diptych.metrics.intervals import bootstrap_interval, difference_interval
from diptych.recognition.evaluation.reliability import bootstrap_score
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Score

MIN_PICTURES = 50  # in a cell, and in what it is compared with, under which nothing is concluded
ALPHA = 0.05  # the chance of any finding if no group differs

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """A cell of pictures, and the others that it is compared with.

    Attributes
    ----------
    words
        The cell in a sentence: "where camera is phone".
    inside, outside
        Accuracy of both; of pictures of one class this is its recall.
    low, high
        Of the difference, inside minus outside, widened for the number of comparisons.
    """

    words: str
    inside: Score
    outside: Score
    low: float
    high: float

    @property
    def is_worse(self) -> bool:
        """Whether the cell is worse beyond chance."""
        return self.high < 0

    @property
    def gap(self) -> float:
        """How much lower the accuracy is inside."""
        return self.outside.value - self.inside.value

    def sentence(self) -> str:
        """The finding."""
        what = "Recall" if self.words.startswith("of ") else "Accuracy"
        return (
            f"{what} is lower {self.words}: {self.inside.value:.1%} of {self.inside.n}, against "
            f"{self.outside.value:.1%} elsewhere (a difference of {-self.high:.1%} to {-self.low:.1%})."
        )


def accuracy(answers: Answers, rows: Mask) -> Score | None:
    """The accuracy on these pictures; ``None`` where there are none."""
    return share_score(int(answers.correct[rows].sum()), int(rows.sum())) if rows.any() else None


def calibration_error(answers: Answers, rows: Mask) -> Score | None:
    """The calibration error on these pictures; ``None`` where they are too few for one."""
    if rows.sum() < MIN_PICTURES:
        return None
    confidence, correct = torch.from_numpy(answers.confidence[rows]), torch.from_numpy(answers.correct[rows])
    return bootstrap_score(lambda r: expected_calibration_error(confidence[r], correct[r]), int(rows.sum()))


def accuracy_difference(answers: Answers, rows: Mask) -> Score | None:
    """Accuracy on these pictures minus that on all others, with a paired bootstrap interval; ``None``: too few.

    All pictures are resampled together, so that both sides of the difference vary as they do over sets like this one.
    """
    if min(rows.sum(), (~rows).sum()) < MIN_PICTURES:
        return None
    inside, correct = torch.from_numpy(rows), torch.from_numpy(answers.correct).double()

    def difference(drawn: torch.Tensor) -> float:
        here, right = inside[drawn], correct[drawn]
        return float(right[here].mean() - right[~here].mean())

    n = len(answers)
    return Score(difference(torch.arange(n)), *bootstrap_interval(difference, n, bounds=(-1.0, 1.0)), n)


def odds_gap(answers: Answers, grouping: Grouping, label: int) -> Score | None:
    """The gap in equalised odds of one class against the rest, with its bootstrap interval; ``None``: too few."""
    number = len(grouping.values)

    def gap(rows: NDArray[np.int64], least: int) -> float | None:
        parts = (answers.targets[rows], answers.predicted[rows], grouping.numbers[rows])
        return equalised_odds_gap(*parts, label, number, least)

    n = len(answers)
    value = gap(np.arange(n), MIN_PICTURES)
    if value is None:
        return None
    # A resample may have a few less than the threshold; half of it keeps every group that counts.
    low, high = bootstrap_interval(lambda rows: gap(rows.numpy(), MIN_PICTURES // 2) or 0.0, n)
    return Score(value, min(low, value), max(high, value), n, share=True)


def compare(answers: Answers, divisions: Sequence[Grouping]) -> list[Comparison]:
    """Every group against all other pictures, and each class in it against the same class elsewhere.

    The intervals are widened for the number of comparisons (Bonferroni): if nothing differed, one audit in twenty would
    have any finding. Cells of fewer than 50 pictures, or compared with fewer, are left out.
    """
    compared = [cell for cell in cells(answers, divisions) if min(cell[1].sum(), cell[2].sum()) >= MIN_PICTURES]
    z = NormalDist().inv_cdf(1 - ALPHA / (2 * max(1, len(compared))))
    comparisons = []
    for words, inside, outside in compared:
        hits, other = (int(answers.correct[rows].sum()) for rows in (inside, outside))
        n, other_n = int(inside.sum()), int(outside.sum())
        ends = difference_interval(hits, n, other, other_n, z)
        comparisons.append(Comparison(words, share_score(hits, n), share_score(other, other_n), *ends))
    return sorted(comparisons, key=lambda comparison: -comparison.gap)


def cells(answers: Answers, divisions: Sequence[Grouping]) -> Iterator[tuple[str, Mask, Mask]]:
    """(words, pictures inside, pictures to compare with) of each group, and of each class in it."""
    for grouping in divisions:
        for number, value in enumerate(grouping.values):
            rows = grouping.rows(number)
            yield f"where {grouping.name} is {value}", rows, ~rows
            for label, name in enumerate(answers.classes):
                of_class = answers.targets == label
                yield f"of {name} where {grouping.name} is {value}", rows & of_class, ~rows & of_class
