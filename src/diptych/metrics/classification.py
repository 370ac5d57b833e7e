"""How well labels were told: accuracy, precision, recall, F1 and calibration, as pure functions.

Tensors in, floats out. ``truth`` and ``guess`` are (N,) int64 class numbers in 0..K-1; where a picture may
have several labels they are (N, K) bool. The averages follow scikit-learn with ``zero_division=0``, against
which the tests check them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, (K,) float64; ``support`` counts the pictures truly of the class."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor


def accuracy(truth: Tensor, guess: Tensor) -> float:
    """Share of pictures told right, 0..1; with (N, K) bool labels every label of a picture must be right."""
    right = truth == guess
    return float((right.all(1) if right.ndim == 2 else right).double().mean())


def balanced_accuracy(truth: Tensor, guess: Tensor, classes: int) -> float:
    """Mean recall over the classes that occur in ``truth``: accuracy, were they equally frequent."""
    scores = per_class(confusion_matrix(truth, guess, classes))
    return float(scores.recall[scores.support > 0].mean())


def confusion_matrix(truth: Tensor, guess: Tensor, classes: int) -> Tensor:
    """Count pictures by true class (row) and told class (column): (K, K) int64."""
    return torch.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)


def per_class(confusion: Tensor) -> ClassScores:
    """Precision TP/(TP+FP), recall TP/(TP+FN) and F1 = 2PR/(P+R) of each class; 0 where undefined."""
    hits, told, support = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    return _scores(hits, told, support)


def per_label(truth: Tensor, guess: Tensor) -> ClassScores:
    """Precision, recall and F1 of each label where a picture may have several: (N, K) bool in."""
    return _scores((truth & guess).sum(0), guess.sum(0), truth.sum(0))


def macro_f1(truth: Tensor, guess: Tensor, classes: int = 0) -> float:
    """Mean F1 over the classes, each counting the same.

    Single labels (N,): over the classes that occur in ``truth`` or ``guess``, as scikit-learn does.
    Several labels (N, K) bool: over all K.
    """
    if truth.ndim == 2:
        return float(per_label(truth, guess).f1.mean())
    confusion = confusion_matrix(truth, guess, classes or int(torch.stack((truth.max(), guess.max())).max()) + 1)
    occurs = (confusion.sum(0) + confusion.sum(1)) > 0
    return float(per_class(confusion).f1[occurs].mean())


def expected_calibration_error(confidence: Tensor, right: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """Mean gap between how sure the answers were and how often they were right, 0..1.

    ECE = Σ_b (n_b / N) · |share right in b − mean confidence in b|, over ``bins`` equal intervals (lo, hi]
    of confidence (Naeini et al. 2015; Guo et al. 2017, equation 3). Both tensors are of one shape.
    """
    confidence, right = confidence.flatten().double(), right.flatten().double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right - confidence)
    return float(gaps.abs().sum() / len(confidence))


def _scores(hits: Tensor, told: Tensor, support: Tensor) -> ClassScores:
    hits, told_, support_ = hits.double(), told.double(), support.double()
    return ClassScores(
        precision=hits / told_.clamp(min=1),
        recall=hits / support_.clamp(min=1),
        f1=2 * hits / (told_ + support_).clamp(min=1),
        support=support,
    )
