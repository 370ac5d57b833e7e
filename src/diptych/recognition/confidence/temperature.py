"""Temperature scaling, which calibrates probabilities, and the thresholds of labels that maximise F1."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.02, 50.0
TOLERANCE = 1e-5  # of log T
GOLDEN = (math.sqrt(5) - 1) / 2
MULTI_LABEL_THRESHOLD = 0.5  # of a label without examples
MIN_THRESHOLD, MAX_THRESHOLD = 0.1, 0.9
PRIOR_EXAMPLES = 10  # of a label, whose weight its calibrated probabilities have


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T at which softmax(logits / T) fits the labels best.

    Parameters
    ----------
    logits
        (N, K) of pictures that were not trained on.
    labels
        (N,) int64; or (N, K) bool where a picture may have several labels (then sigmoid(logits / T)).

    The labels are smoothed by 1/(N + 2) (Platt 1999): where every prediction is correct, the likelihood alone would
    give T = 0, a certainty that N pictures do not justify.

    The loss is convex in 1/T, so it has one minimum in log T, which a golden-section search finds.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    logits = logits.double()
    smoothing = 1 / (len(logits) + 2)

    def loss(log_t: float) -> float:
        return float(nll(logits / math.exp(log_t), labels, smoothing).mean())

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > TOLERANCE:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = loss(right)
    return math.exp((low + high) / 2)


def nll(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """The cross-entropy of each picture in nats, (N,); for several labels, the mean over them.

    Parameters
    ----------
    logits
        (N, K).
    labels
        (N,) int64; or (N, K) bool where a picture may have several labels.
    smoothing
        Label smoothing, 0..1: the share of each label that is spread evenly.
    """
    if labels.ndim == 2:
        soft = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(1)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """(N, K) softmax of logits at a temperature."""
    return (logits / temperature).softmax(1)


def label_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """(N, K) sigmoid of logits at a temperature, where a picture may have several labels."""
    return (logits / temperature).sigmoid()


def fit_label_thresholds(probabilities: Tensor, targets: Tensor) -> Tensor:
    """The probability from which on each label is predicted, where a picture may have several: (K,) in 0.1..0.9.

    Parameters
    ----------
    probabilities, targets
        (N, K) calibrated probabilities and bool labels, of pictures that were not trained on.

    Each threshold maximises its label's F1. With few examples any threshold might score best by chance, so the n
    examples are joined by a prior with the weight of ten, whose labels are the probabilities themselves: without any
    evidence, the threshold is half of the best F1 to be expected (Lipton et al. 2014, "Optimal thresholding of
    classifiers to maximize F1 measure"). Of equally good thresholds the nearest to 0.5 is taken; without examples, 0.5.
    """
    columns = zip(probabilities.double().T, targets.T, strict=True)
    return torch.tensor([_best_threshold(column, labels) for column, labels in columns])


def _best_threshold(probabilities: Tensor, targets: Tensor) -> float:
    """The threshold of one label, from (N,) probabilities and (N,) bool."""
    examples = int(targets.sum())
    if examples == 0:
        return MULTI_LABEL_THRESHOLD
    descending, order = probabilities.sort(descending=True)
    posterior = (examples * targets[order].double() + PRIOR_EXAMPLES * descending) / (examples + PRIOR_EXAMPLES)
    predicted = torch.arange(1, len(descending) + 1)
    f1 = 2 * posterior.cumsum(0) / (predicted + posterior.sum())  # of predicting the label for the first i + 1
    last = torch.cat((descending.diff() < 0, torch.ones(1, dtype=torch.bool)))  # ties are predicted together
    best = int(f1.where(last, 0).argmax())
    above, below = float(descending[best]), float(descending[best + 1]) if best + 1 < len(descending) else 0.0
    between = MULTI_LABEL_THRESHOLD if below < MULTI_LABEL_THRESHOLD <= above else (below + above) / 2
    return min(MAX_THRESHOLD, max(MIN_THRESHOLD, between))
