"""Making a recognizer's confidence mean what it says, and telling labels where that serves best."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

COOLEST, HOTTEST = 0.02, 50.0
CLOSE = 1e-5  # of log T
GOLDEN = (math.sqrt(5) - 1) / 2
MULTI_LABEL_THRESHOLD = 0.5  # the threshold where nothing else is known
LOWEST, HIGHEST = 0.1, 0.9  # a threshold may be
PRIOR_EXAMPLES = 10  # of a label, that its calibrated probabilities count as much as


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T at which softmax(logits / T) fits the labels best.

    Parameters
    ----------
    logits
        (N, K) of pictures that were not trained on.
    labels
        (N,) int64; or (N, K) bool where a picture may have several labels (then sigmoid(logits / T)).

    The truth counts as 1/(N + 2) uncertain (Platt 1999): where every answer is right, the likelihood alone would
    call for T = 0, that is for certainty that N pictures cannot give.

    The misfit is convex in 1/T, so that it has one valley in log T, which a golden-section search closes in on.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    logits = logits.double()
    doubt = 1 / (len(logits) + 2)

    def misfit(log_t: float) -> float:
        return float(nll(logits / math.exp(log_t), labels, doubt).mean())

    low, high = math.log(COOLEST), math.log(HOTTEST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = misfit(left), misfit(right)
    while high - low > CLOSE:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = misfit(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = misfit(right)
    return math.exp((low + high) / 2)


def nll(logits: Tensor, labels: Tensor, doubt: float = 0.0) -> Tensor:
    """The cross-entropy of each picture in nats, (N,); over several labels their mean.

    Parameters
    ----------
    logits
        (N, K).
    labels
        (N,) int64; or (N, K) bool where a picture may have several labels.
    doubt
        The share of each label, 0..1, that is taken to be unknown, spread evenly.
    """
    if labels.ndim == 2:
        soft = labels.to(logits.dtype) * (1 - doubt) + doubt / 2
        return F.binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(1)
    return F.cross_entropy(logits, labels, label_smoothing=doubt, reduction="none")


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Softmax of (N, K) logits at a temperature, in float32."""
    return (logits / temperature).softmax(1)


def label_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """The same where a picture may have several labels: a sigmoid each."""
    return (logits / temperature).sigmoid()


def fit_label_thresholds(probabilities: Tensor, truth: Tensor) -> Tensor:
    """From which probability on each label is told, where a picture may have several: (K,) in 0.1..0.9.

    Parameters
    ----------
    probabilities, truth
        (N, K) calibrated, and bool, of pictures that were not trained on.

    Each maximises its label's F1. Of few examples any threshold might look best; so to the n examples come as many
    pictures of which the probabilities themselves are the truth as ten examples would be: without any evidence, the
    threshold is the half of the best F1 to be expected (Lipton et al. 2014, "Optimal thresholding of classifiers to
    maximize F1 measure"). Of thresholds that do equally well, the nearest to 0.5 is taken; without an example, 0.5.
    """
    columns = zip(probabilities.double().T, truth.T, strict=True)
    return torch.tensor([_best_threshold(chances, has) for chances, has in columns])


def _best_threshold(chances: Tensor, has: Tensor) -> float:
    examples = int(has.sum())
    if examples == 0:
        return MULTI_LABEL_THRESHOLD
    chances, order = chances.sort(descending=True)
    believed = (examples * has[order].double() + PRIOR_EXAMPLES * chances) / (examples + PRIOR_EXAMPLES)
    f1 = 2 * believed.cumsum(0) / (torch.arange(1, len(chances) + 1) + believed.sum())  # of telling the first i + 1
    last = torch.cat((chances.diff() < 0, torch.ones(1, dtype=torch.bool)))  # equal chances are told together
    best = int(f1.where(last, 0).argmax())
    told, left = float(chances[best]), float(chances[best + 1]) if best + 1 < len(chances) else 0.0
    between = MULTI_LABEL_THRESHOLD if left < MULTI_LABEL_THRESHOLD <= told else (left + told) / 2
    return min(HIGHEST, max(LOWEST, between))
