"""Which class needs generated pictures, and which of them the synthesizer can give.

A class needs some if it has fewer pictures than it shall have and the recognizer makes errors on it. It gets fewer, or
none, if what the synthesizer generates for it does not cover its real pictures or is taken for others: more of the same
few pictures, or pictures of another class, are no help however many there are.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.metrics.prdc import NEIGHBOURS, prdc
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Score

GOOD_RECALL = 0.98  # that a class reaches for certain (lower end of its interval) if it needs no pictures
MIN_FOR_COVERAGE = 2 * (NEIGHBOURS + 3)  # real pictures of a class, which are compared by halves
MAX_FOR_COVERAGE = 400  # of them
ENOUGH, LITTLE = 0.6, 0.3  # of what real pictures reach: all that are missing are added; half of them; under it none


@dataclass(frozen=True)
class ClassNeed:
    """What is known of a class before pictures are generated for it.

    Attributes
    ----------
    name
        The class.
    real
        Its real pictures to train on.
    missing
        How many fewer that is than asked for.
    recall
        Share of its held-out real pictures that the recognizer gets right; ``None``: none is held out.
    """

    name: str
    real: int
    missing: int
    recall: Score | None

    @property
    def well_recognized(self) -> bool:
        """Whether the recognizer hardly errs on it, beyond chance."""
        return self.recall is not None and (self.recall.low or 0.0) >= GOOD_RECALL


@dataclass(frozen=True)
class Supply:
    """What the synthesizer can give for a class, by the first pictures that it generates.

    Attributes
    ----------
    right
        Share of them that the recognizer takes for the class.
    coverage, real_coverage
        Share of one half of the real pictures that they cover, and that the other half covers; ``None``: too few
        real pictures to tell.
    recall
        As in :class:`ClassNeed`.
    """

    right: float
    coverage: float | None
    real_coverage: float | None
    recall: float | None

    @property
    def share(self) -> float:
        """Share of the missing pictures that are to be added: 1, 0.5 or 0."""
        return min(_share_of(self.right, self.recall), _share_of(self.coverage, self.real_coverage))

    @property
    def reason(self) -> str:
        """Why not all are added, as the end of a sentence; empty where all are."""
        reasons = []
        if _share_of(self.right, self.recall) < 1:
            of_real = "" if self.recall is None else f" (of its real ones {self.recall:.0%})"
            reasons.append(f"only {self.right:.0%} of its generated pictures are taken for it{of_real}")
        if self.coverage is not None and self.real_coverage is not None and self.share_covered < 1:
            reasons.append(
                f"its generated pictures cover only {self.coverage:.0%} of the real ones (as many real ones cover "
                f"{self.real_coverage:.0%})"
            )
        return " and ".join(reasons)

    @property
    def share_covered(self) -> float:
        """:attr:`share` as far as coverage decides it."""
        return _share_of(self.coverage, self.real_coverage)


def class_needs(
    classes: tuple[str, ...], counts: NDArray[np.int64], per_class: int, labels: NDArray[np.int64], correct: Tensor
) -> list[ClassNeed]:
    """The need of each class.

    Parameters
    ----------
    counts
        (K,) real pictures to train on.
    labels, correct
        (N,) of held-out real pictures, and whether the recognizer gets them right.
    """
    needs = []
    for number, name in enumerate(classes):
        own = correct.numpy()[labels == number]
        recall = share_score(int(own.sum()), len(own)) if len(own) else None
        count = int(counts[number])
        needs.append(ClassNeed(name, count, max(0, per_class - count), recall))
    return needs


def coverage_of(generated: Tensor, real: Tensor) -> tuple[float, float] | None:
    """Coverage of one half of the real pictures by generated ones, and by the other half; ``None``: too few.

    (M, D) and (N, D) features. The numbers on both sides are equal, since coverage depends on them.
    """
    half = min(len(real) // 2, len(generated))
    if 2 * half < MIN_FOR_COVERAGE:
        return None
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    one, other = real[order[:half]], real[order[half : 2 * half]]
    return prdc(generated[:half], one).coverage, prdc(other, one).coverage


def _share_of(value: float | None, of_real: float | None) -> float:
    """Share of the missing pictures to add where generated pictures reach ``value`` and real ones ``of_real``."""
    if value is None or not of_real:  # nothing to compare with
        return 1.0
    ratio = value / of_real
    return 1.0 if ratio >= ENOUGH else 0.5 if ratio >= LITTLE else 0.0
