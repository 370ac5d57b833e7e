"""Classification accuracy score: the accuracy on real pictures of a recognizer trained on generated ones alone.

S. Ravuri, O. Vinyals, "Classification accuracy score for conditional generative models", NeurIPS 2019. It detects what
distances do not: a class that is missing, or generated as another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.errors import DataError
from diptych.interplay.judge import train_small_recognizer
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Score
from diptych.synthesis.datasets import random_subset

SEEDS = 3


@dataclass(frozen=True)
class CAS:
    """Accuracy on real pictures, over all and of each class, of recognizers trained on one kind of pictures."""

    total: Score
    per_class: dict[str, Score]


def comparable_real(generated: Images, real: Images) -> Images | None:
    """The real pictures of the generated ones' classes, matched by name; ``None`` where labels do not allow it."""
    if generated.multi_label or real.multi_label or (generated.labels < 0).any():
        return None
    generated_classes = [name for name, count in generated.counts().items() if count]
    shared = [i for i, name in enumerate(real.classes) if name in generated_classes]
    rows = np.isin(real.labels, shared)
    if len(generated_classes) < 2 or len(shared) < 2 or not rows.any():
        return None
    return real[rows].relabel([real.classes[i] for i in shared])


def classification_accuracy_score(
    training: Images, real: Images, size: int, *, seeds: int = SEEDS, minutes: float | None = None
) -> CAS | None:
    """Train recognizers on ``training`` and evaluate them on real pictures; ``None`` if it cannot be trained on.

    The mean over ``seeds`` of the classic small network, each trained for ``minutes``, or for a bounded number of
    epochs; the intervals reflect the number of real pictures, not the variation between trainings.
    """
    targets = np.asarray(real.classes)[real.labels]
    # Some are held out in training, which refuses generated ones there; nothing that is measured on them is used.
    training = training.with_metadata(origins=np.full(len(training), "real"))
    correct = np.zeros(len(real))  # share of the recognizers whose prediction is correct, for each picture
    for seed in range(seeds):
        try:
            predicted = np.asarray(train_small_recognizer(training, size, seed, minutes).predict(real).names)
        except DataError:
            return None
        correct += (predicted == targets) / seeds
    per_class = {name: _mean_score(correct[targets == name]) for name in real.classes if (targets == name).any()}
    return CAS(_mean_score(correct), per_class)


def real_ceiling(
    auxiliary: Images | None, generated: Images, real: Images, size: int, minutes: float | None = None
) -> CAS | None:
    """The same after training on as many real pictures; ``None`` where there are none to train on."""
    if auxiliary is None:
        return None
    rows = np.isin(auxiliary.labels, [i for i, name in enumerate(auxiliary.classes) if name in real.classes])
    training = random_subset(auxiliary[rows], len(generated), seed=0)
    return classification_accuracy_score(training, real, size, seeds=1, minutes=minutes) if rows.any() else None


def _mean_score(correct: NDArray[np.float64]) -> Score:
    return share_score(float(correct.sum()), len(correct))
