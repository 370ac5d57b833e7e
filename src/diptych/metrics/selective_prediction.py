"""Selective prediction as pure functions: risk over coverage, and how well a score separates two groups."""

import torch
from torch import Tensor

from diptych.metrics.intervals import bootstrap_interval, wilson_interval


def risk_coverage(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """The share of errors among the most confident predictions, at every coverage.

    Parameters
    ----------
    confidence, correct
        (N,) the confidence of each prediction, and whether it is correct.

    Returns
    -------
    (N,) coverage i/N and (N,) float64 risk of the i most confident predictions (El-Yaniv & Wiener 2010). Errors among
    predictions of equal confidence are spread evenly, so that their order does not matter.
    """
    n = len(confidence)
    rank = torch.unique(-confidence.double(), return_inverse=True)[1]
    counts = rank.bincount()
    error_rate = (rank.bincount(weights=(~correct.bool()).double()) / counts).repeat_interleave(counts)
    covered = torch.arange(1, n + 1, dtype=torch.float64)
    return covered / n, error_rate.cumsum(0) / covered


def area_under_risk_coverage(confidence: Tensor, correct: Tensor) -> float:
    """AURC: the mean risk over all coverages (Geifman & El-Yaniv 2017), 0..1, the lower the better."""
    return float(risk_coverage(confidence, correct)[1].mean())


def aurc_interval(confidence: Tensor, correct: Tensor) -> tuple[float, float]:
    """The 95 % interval of :func:`area_under_risk_coverage`, by :func:`bootstrap_interval`.

    The predictions are sorted once: a resample of sorted rows is sorted by its row numbers.
    """
    wrong = (~correct.bool()).double()[(-confidence.double()).argsort(stable=True)]
    covered = torch.arange(1, len(wrong) + 1, dtype=torch.float64)
    return bootstrap_interval(lambda rows: float((wrong[rows.sort().values].cumsum(0) / covered).mean()), len(wrong))


def auroc(positives: Tensor, negatives: Tensor) -> float:
    """The probability that a positive scores above a negative, 0..1; ties count half.

    The area under the ROC curve, as the Mann-Whitney statistic (Hanley & McNeil 1982). Both are (N,) and not empty.
    """
    return float(_placements(positives, negatives).mean())


def auroc_interval(positives: Tensor, negatives: Tensor) -> tuple[float, float]:
    """The 95 % interval of :func:`auroc`.

    Its variance is that of DeLong et al. 1988. The interval is Wilson's for a share at the number of pictures that
    would give a share this variance, so that it stays in 0..1 and is honest where the groups separate perfectly.
    """
    of_positives, of_negatives = _placements(positives, negatives), 1 - _placements(negatives, positives)
    area = float(of_positives.mean())
    variance = sum(float(p.var(correction=1)) / len(p) if len(p) > 1 else 0.0 for p in (of_positives, of_negatives))
    smaller, total = min(len(positives), len(negatives)), len(positives) + len(negatives)
    n = min(max(area * (1 - area) / variance, 1.0), total) if variance > 0 else smaller
    return wilson_interval(area * n, n)


def _placements(scores: Tensor, others: Tensor) -> Tensor:
    """For each score, the share of the others that lie below it; ties count half."""
    ordered = others.double().sort().values
    below = torch.searchsorted(ordered, scores.double(), right=False)
    up_to = torch.searchsorted(ordered, scores.double(), right=True)
    return (below + up_to) / (2 * len(others))
