"""Two proportions compared within strata, such as classes: the test and the difference of Mantel and Haenszel."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


class StratifiedDifference(NamedTuple):
    """Result of :func:`stratified_difference`.

    Attributes
    ----------
    value, low, high
        The difference of the two shares and its 95 % interval.
    p
        The chance of so large a difference, or a larger one, where the shares are equal in every stratum.
    """

    value: float
    low: float
    high: float
    p: float


def stratified_difference(hits: Counts, n: Counts, other_hits: Counts, other_n: Counts) -> StratifiedDifference:
    """How much larger the share ``hits / n`` is than ``other_hits / other_n`` within strata; (S,) counts each.

    The difference is that of Mantel and Haenszel, Σ w d / Σ w with w = n·n'/(n + n') and d the stratum's difference,
    with Sato's standard error; the one-sided test is that of Cochran, Mantel and Haenszel with a continuity correction.
    Strata without pictures on either side say nothing. Without any stratum, the difference is 0 and p is 1.

    References
    ----------
    N. Mantel, W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies", JNCI 1959;
    T. Sato, "On the variance estimator for the Mantel-Haenszel risk difference", Biometrics 1989.
    """
    both = (n > 0) & (other_n > 0)
    a, m, b, k = (counts[both].astype(np.float64) for counts in (hits, n, other_hits, other_n))
    if not len(a):
        return StratifiedDifference(0.0, -1.0, 1.0, 1.0)
    total = m + k
    weight = m * k / total
    value = float(((a * k - b * m) / total).sum() / weight.sum())
    p_term = (m**2 * b - k**2 * a + m * k * (k - m) / 2) / total**2
    q_term = (a * (k - b) + b * (m - a)) / (2 * total)
    half = NormalDist().inv_cdf(0.975) * math.sqrt(max(0.0, float(value * p_term.sum() + q_term.sum()))) / weight.sum()
    right = a + b
    excess = float((a - m * right / total).sum())
    variance = float((m * k * right * (total - right) / (total**2 * np.maximum(total - 1, 1))).sum())
    p = NormalDist().cdf((0.5 - excess) / math.sqrt(variance)) if variance > 0 else 1.0
    return StratifiedDifference(value, max(-1.0, value - half), min(1.0, value + half), p)
