"""Sets of labels that hold the truth as often as promised, by split conformal prediction.

One label a picture: LAC, the sets of least size (Sadinle, Lei & Wasserman 2019, "Least ambiguous set-valued classifiers
with bounded error levels"). Several labels: conformal risk control of the share of labels missed (Angelopoulos et
al. 2022, "Conformal risk control", section 4.1).
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
TARGET = 0.9  # of the truth is in the sets


def set_cutoff(probabilities: Floats, truth: NDArray[np.int64], target: float = TARGET) -> float:
    """The probability from which on a label belongs to a picture's set; 0 where too few pictures were given.

    Parameters
    ----------
    probabilities, truth
        (n, K) and (n,) of labelled pictures that were not trained on.
    target
        Of further pictures like these, this share at least has its true label in the set.

    The k-th lowest probability of a true label, counted so that k/(n + 1) of further ones are expected above it.
    """
    n = len(truth)
    true = np.sort(probabilities[np.arange(n), truth])
    place = n - quantile_rank(n, target)  # LAC sorts 1 − p upwards
    return float(true[place]) if place >= 0 else 0.0


def multi_label_cutoff(probabilities: Floats, truth: NDArray[np.bool_], target: float = TARGET) -> float:
    """The same where a picture may have several labels: on average so large a share of its labels is in the set.

    The highest λ at which (n R(λ) + 1)/(n + 1) ≤ 1 − target, where R is the mean share of a picture's labels whose
    probability is under λ. Pictures without labels have none to miss, and are left out.
    """
    owned = truth.any(1)
    probabilities, truth = probabilities[owned], truth[owned]
    n, weights = len(truth), truth / truth.sum(1, keepdims=True)
    order = np.argsort(probabilities, axis=None, kind="stable")
    ordered, lost = probabilities.ravel()[order], np.cumsum(weights.ravel()[order])  # lost by a λ just above each
    allowed = (1 - target) * (n + 1) - 1
    within = int(np.searchsorted(lost, allowed + 1e-9, side="right"))
    if allowed < 0:
        return 0.0
    return float(ordered[within]) if within < len(ordered) else 1.0


def label_sets(probabilities: Floats, cutoff: float) -> NDArray[np.bool_]:
    """(N, K) bool: the labels from the cutoff on. May be empty."""
    return np.asarray(probabilities >= cutoff)


def quantile_rank(n: int, target: float = TARGET) -> int:
    """Which of n scores, counted from the lowest, is the quantile: ⌈(n + 1) · target⌉; n + 1 where none would do."""
    return math.ceil((n + 1) * target - 1e-9)


def coverage_range(n: int, target: float = TARGET, level: float = 0.95) -> tuple[float, float]:
    """Where the true coverage lies, had n pictures been drawn again and again: its ``level`` interval.

    Over draws of the n pictures, coverage follows Beta(k, n + 1 − k) (Vovk 2012, "Conditional validity of inductive
    conformal predictors", proposition 2a); with k > n every set is full and covers all.
    """
    from scipy.special import betaincinv  # scipy.stats has it, too, and takes a second longer to import

    k = quantile_rank(n, target)
    if k > n:
        return 1.0, 1.0
    low, high = betaincinv(k, n + 1 - k, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
