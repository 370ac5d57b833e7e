"""Label sets that hold the true label at a guaranteed rate, by split conformal prediction.

One label a picture: LAC, the sets of least size (Sadinle, Lei & Wasserman 2019, "Least ambiguous set-valued classifiers
with bounded error levels"). Several labels: conformal risk control of the share of labels missed (Angelopoulos et
al. 2022, "Conformal risk control", section 4.1).
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
TARGET = 0.9  # share of true labels that the sets hold


def prediction_set_cutoff(probabilities: Floats, targets: NDArray[np.int64], target: float = TARGET) -> float:
    """The probability from which on a label is in a picture's set; 0 if there are too few pictures.

    Parameters
    ----------
    probabilities, targets
        (n, K) and (n,) class numbers, of pictures that were not trained on.
    target
        Minimum share of further pictures like these whose true label is in the set.

    It is the (n + 1 − k)-th lowest probability of a true label, with k = ⌈(n + 1) · target⌉, so that a share of
    k/(n + 1) of further ones is expected to reach it.
    """
    n = len(targets)
    ascending = np.sort(probabilities[np.arange(n), targets])
    index = n - conformal_rank(n, target)  # LAC sorts 1 − p in ascending order
    return float(ascending[index]) if index >= 0 else 0.0


def multi_label_cutoff(probabilities: Floats, targets: NDArray[np.bool_], target: float = TARGET) -> float:
    """The cutoff where a picture may have several labels: on average, ``target`` of them are in the set.

    The highest λ at which (n R(λ) + 1)/(n + 1) ≤ 1 − target, where R is the mean share of a picture's labels whose
    probability is under λ. Pictures without labels have none to miss and are left out.
    """
    labelled = targets.any(1)
    probabilities, targets = probabilities[labelled], targets[labelled]
    n, weights = len(targets), targets / targets.sum(1, keepdims=True)
    order = np.argsort(probabilities, axis=None, kind="stable")
    ascending, missed = probabilities.ravel()[order], np.cumsum(weights.ravel()[order])  # by a λ just above each
    allowed = (1 - target) * (n + 1) - 1
    index = int(np.searchsorted(missed, allowed + 1e-9, side="right"))
    if allowed < 0:
        return 0.0
    return float(ascending[index]) if index < len(ascending) else 1.0


def prediction_sets(probabilities: Floats, cutoff: float) -> NDArray[np.bool_]:
    """(N, K) bool: the labels from the cutoff on. May be empty."""
    return np.asarray(probabilities >= cutoff)


def conformal_rank(n: int, target: float = TARGET) -> int:
    """The rank, from the lowest of n scores, of the quantile: ⌈(n + 1) · target⌉; n + 1 if n is too small."""
    return math.ceil((n + 1) * target - 1e-9)


def coverage_range(n: int, target: float = TARGET, level: float = 0.95) -> tuple[float, float]:
    """The ``level`` interval of the true coverage over repeated draws of the n calibration pictures.

    Coverage follows Beta(k, n + 1 − k) (Vovk 2012, "Conditional validity of inductive
    conformal predictors", proposition 2a); if k > n every set is full, and coverage is 1.
    """
    from scipy.special import betaincinv  # scipy.stats has it, too, and takes a second longer to import

    k = conformal_rank(n, target)
    if k > n:
        return 1.0, 1.0
    low, high = betaincinv(k, n + 1 - k, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
