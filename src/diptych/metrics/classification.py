"""Classification scores as pure functions: accuracy, precision, recall, F1 and calibration error.

Tensors in, floats out. ``targets`` and ``predicted`` are (N,) int64 class numbers in 0..K-1; where a picture may
have several labels they are (N, K) bool. The averages follow scikit-learn with ``zero_division=0``, against
which the tests check them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, (K,) float64; ``support`` counts the pictures of the class."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor


def accuracy(targets: Tensor, predicted: Tensor) -> float:
    """Share of correct predictions, 0..1; with (N, K) bool labels every label of a picture must be correct."""
    correct = targets == predicted
    return float((correct.all(1) if correct.ndim == 2 else correct).double().mean())


def balanced_accuracy(targets: Tensor, predicted: Tensor, classes: int) -> float:
    """Mean recall over the classes that occur in ``targets``: the accuracy if they were equally frequent."""
    scores = per_class_scores(confusion_matrix(targets, predicted, classes))
    return float(scores.recall[scores.support > 0].mean())


def confusion_matrix(targets: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count pictures by true class (row) and predicted class (column): (K, K) int64."""
    return torch.bincount(targets * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def per_class_scores(confusion: Tensor) -> ClassScores:
    """Precision TP/(TP+FP), recall TP/(TP+FN) and F1 = 2PR/(P+R) of each class; 0 where undefined."""
    return _class_scores(confusion.diagonal(), confusion.sum(0), confusion.sum(1))


def per_label_scores(targets: Tensor, predicted: Tensor) -> ClassScores:
    """Precision, recall and F1 of each label where a picture may have several: (N, K) bool in."""
    return _class_scores((targets & predicted).sum(0), predicted.sum(0), targets.sum(0))


def macro_f1(targets: Tensor, predicted: Tensor, classes: int = 0) -> float:
    """Mean F1 over the classes, each with equal weight.

    Single labels (N,): over the classes that occur in ``targets`` or ``predicted``, as in scikit-learn.
    Several labels (N, K) bool: over all K.
    """
    if targets.ndim == 2:
        return float(per_label_scores(targets, predicted).f1.mean())
    largest = int(torch.stack((targets.max(), predicted.max())).max())
    confusion = confusion_matrix(targets, predicted, classes or largest + 1)
    occurs = (confusion.sum(0) + confusion.sum(1)) > 0
    return float(per_class_scores(confusion).f1[occurs].mean())


def expected_calibration_error(confidence: Tensor, correct: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """Mean gap between the confidence of predictions and the share that is correct, 0..1.

    ECE = Σ_b (n_b / N) · |share correct in b − mean confidence in b|, over ``bins`` equal intervals (lo, hi]
    of confidence (Naeini et al. 2015; Guo et al. 2017, equation 3). Both tensors are of one shape.
    """
    confidence, correct = confidence.flatten().double(), correct.flatten().double()
    bin_number = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, bin_number, correct - confidence)
    return float(gaps.abs().sum() / len(confidence))


def _class_scores(hits: Tensor, predicted: Tensor, support: Tensor) -> ClassScores:
    """Scores of counts (K,): true positives, predictions and pictures of each class."""
    true_positives, predictions, positives = hits.double(), predicted.double(), support.double()
    return ClassScores(
        precision=true_positives / predictions.clamp(min=1),
        recall=true_positives / positives.clamp(min=1),
        f1=2 * true_positives / (predictions + positives).clamp(min=1),
        support=support,
    )
