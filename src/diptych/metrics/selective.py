"""How well a figure tells which answers to trust, or which pictures are known, as pure functions."""

import torch
from torch import Tensor

from diptych.metrics.intervals import bootstrap, wilson


def risk_coverage(confidence: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The share of wrong answers among those kept, when only the surest are kept.

    Parameters
    ----------
    confidence, right
        (N,) how sure each answer was, and whether it was right.

    Returns
    -------
    (N,) coverage i/N and (N,) float64 risk of the i surest answers (El-Yaniv & Wiener 2010). Among equally sure ones
    the errors are spread evenly, so that their order does not matter.
    """
    n = len(confidence)
    place = torch.unique(-confidence.double(), return_inverse=True)[1]
    counts = place.bincount()
    rate = (place.bincount(weights=(~right.bool()).double()) / counts).repeat_interleave(counts)
    kept = torch.arange(1, n + 1, dtype=torch.float64)
    return kept / n, rate.cumsum(0) / kept


def area_under_risk_coverage(confidence: Tensor, right: Tensor) -> float:
    """AURC: the mean risk over all coverages (Geifman & El-Yaniv 2017), 0..1, the lower the better."""
    return float(risk_coverage(confidence, right)[1].mean())


def aurc_interval(confidence: Tensor, right: Tensor) -> tuple[float, float]:
    """The 95 % interval of :func:`area_under_risk_coverage`, by :func:`bootstrap`.

    Sorted once: a resample of rows that are in order is sorted by their numbers.
    """
    wrong = (~right.bool()).double()[(-confidence.double()).argsort(stable=True)]
    kept = torch.arange(1, len(wrong) + 1, dtype=torch.float64)
    return bootstrap(lambda rows: float((wrong[rows.sort().values].cumsum(0) / kept).mean()), len(wrong))


def auroc(known: Tensor, unknown: Tensor) -> float:
    """How likely a known picture scores above an unknown one, 0..1; ties count half.

    The area under the ROC curve, as the Mann-Whitney statistic (Hanley & McNeil 1982). Both are (N,) and not empty.
    """
    return float(_placements(known, unknown).mean())


def auroc_interval(known: Tensor, unknown: Tensor) -> tuple[float, float]:
    """The 95 % interval of :func:`auroc`.

    Its variance is that of DeLong et al. 1988; as of a share, the interval is then Wilson's at the number of pictures
    that would give a share this variance, so that it stays in 0..1 and is honest where nothing was confused.
    """
    of_known, of_unknown = _placements(known, unknown), 1 - _placements(unknown, known)
    area, fewest = float(of_known.mean()), min(len(known), len(unknown))
    variance = sum(float(p.var(correction=1)) / len(p) if len(p) > 1 else 0.0 for p in (of_known, of_unknown))
    binomial = area * (1 - area)
    n = min(max(binomial / variance, 1.0), len(known) + len(unknown)) if variance > 0 else fewest
    return wilson(area * n, n)


def _placements(scores: Tensor, others: Tensor) -> Tensor:
    """Of each score, the share of the others that lie under it; ties count half."""
    ordered = others.double().sort().values
    under = torch.searchsorted(ordered, scores.double(), right=False)
    up_to = torch.searchsorted(ordered, scores.double(), right=True)
    return (under + up_to) / (2 * len(others))
