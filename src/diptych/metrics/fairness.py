"""Fairness of a classifier over groups: the gap in equalised odds, one class against the rest; pure functions."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Rates = NDArray[np.float64]


def odds(targets: Numbers, predicted: Numbers, groups: Numbers, label: int, number: int) -> tuple[Rates, Rates]:
    """True- and false-positive rates of one class against the rest, by group: (G,) each; NaN where undefined.

    Parameters
    ----------
    targets, predicted
        (N,) class numbers.
    groups
        (N,) group numbers in 0..G-1.
    label
        The class.
    number
        G.
    """
    positive, hit = targets == label, predicted == label
    return tuple(_rates(hit[rows], groups[rows], number) for rows in (positive, ~positive))  # type: ignore[return-value]


def equalised_odds_gap(
    targets: Numbers, predicted: Numbers, groups: Numbers, label: int, number: int, least: int = 1
) -> float | None:
    """The larger of the ranges of the true- and the false-positive rate over the groups, 0..1.

    0 where a class is recognised, and wrongly named, equally often in every group: equalised odds (M. Hardt, E. Price,
    N. Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016, definition 2.1), one class against the
    rest. Groups with fewer than ``least`` pictures under a rate do not count; ``None`` where fewer than two are left
    under either.
    """
    gaps = []
    sides = (targets == label, targets != label)
    for rates, rows in zip(odds(targets, predicted, groups, label, number), sides, strict=True):
        known = rates[np.bincount(groups[rows], minlength=number) >= least]
        if len(known) > 1:
            gaps.append(float(known.max() - known.min()))
    return max(gaps, default=None)


def _rates(hits: NDArray[np.bool_], groups: Numbers, number: int) -> Rates:
    counts = np.bincount(groups, minlength=number)
    return np.where(counts > 0, np.bincount(groups, hits, number) / np.maximum(counts, 1), np.nan)
