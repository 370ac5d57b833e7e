"""Classification accuracy score: how well a recognizer tells real pictures that learned from made ones alone.

S. Ravuri, O. Vinyals, "Classification accuracy score for conditional generative models", NeurIPS 2019. It finds what
distances do not: a class that is missing, or made as another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.errors import DataError
from diptych.interplay.extractors import train_small_recognizer
from diptych.metrics.intervals import wilson
from diptych.report import Score
from diptych.synthesis.datasets import random_subset

SEEDS = 3


@dataclass(frozen=True)
class CAS:
    """Share of real pictures told right, over all and of each class, by recognizers that learned from one kind."""

    total: Score
    per_class: dict[str, Score]


def comparable_real(made: Images, real: Images) -> Images | None:
    """The real pictures of the made ones' classes, matched by name; ``None`` where labels do not allow it."""
    if made.multi_label or real.multi_label or (made.labels < 0).any():
        return None
    taught = [name for name, count in made.counts().items() if count]
    known = [i for i, name in enumerate(real.classes) if name in taught]
    rows = np.isin(real.labels, known)
    if len(taught) < 2 or len(known) < 2 or not rows.any():
        return None
    return real[rows].relabel([real.classes[i] for i in known])


def classification_accuracy_score(lessons: Images, real: Images, size: int, *, seeds: int = SEEDS) -> CAS | None:
    """Train recognizers on ``lessons`` and let them read real pictures; ``None`` if lessons cannot be learned from.

    The mean over ``seeds`` of the classic small network, of bounded length; the intervals say how sure the real
    pictures' number makes it, not how much trainings differ.
    """
    truth = np.asarray(real.classes)[real.labels]
    right = np.zeros(len(real))
    for seed in range(seeds):
        try:
            told = np.asarray(train_small_recognizer(lessons, size, seed).predict(real).names)
        except DataError:
            return None
        right += (told == truth) / seeds
    by_class = {name: _share(right[truth == name]) for name in real.classes if (truth == name).any()}
    return CAS(_share(right), by_class)


def real_ceiling(aside: Images | None, made: Images, real: Images, size: int) -> CAS | None:
    """The same after learning from as many real pictures; ``None`` where there are none to learn from."""
    if aside is None:
        return None
    rows = np.isin(aside.labels, [i for i, name in enumerate(aside.classes) if name in real.classes])
    lessons = random_subset(aside[rows], len(made), seed=0)
    return classification_accuracy_score(lessons, real, size, seeds=1) if rows.any() else None


def _share(right: NDArray[np.float64]) -> Score:
    hits, n = float(right.sum()), len(right)
    return Score(hits / n, *wilson(hits, n), n)
