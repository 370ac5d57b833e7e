"""Figures on whether confidence can be relied upon. The same input gives the same bytes."""

import numpy as np
from numpy.typing import NDArray

from diptych.report.figures import COLOURS, INK, sheet, svg

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
BINS = 10
HISTOGRAM_BINS = 40


def reliability(confidence: Floats, right: Bools) -> bytes:
    """How often answers of each confidence were right, over how many there are -> SVG.

    (N,) each; a bar for each tenth of confidence that occurs (DeGroot & Fienberg 1983). On the diagonal, confidence
    says what it means.
    """
    confidence = np.asarray(confidence, np.float64)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    held = np.flatnonzero(counts)
    shares, means = (np.bincount(place, of, BINS)[held] / counts[held] for of in (right, confidence))
    with sheet(width=8.0, height=3.2, panels=2) as (figure, (axis, below)):
        axis.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
        axis.bar((held + 0.5) / BINS, shares, width=0.9 / BINS, color=COLOURS[0], alpha=0.5)
        axis.plot(means, shares, "o", color=COLOURS[0], markersize=4)
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share right")
        below.bar((np.arange(BINS) + 0.5) / BINS, counts, width=0.9 / BINS, color=COLOURS[2])
        below.set(xlim=(0, 1), xlabel="confidence", ylabel="answers")
        return svg(figure)


def risk_coverage(coverage: Floats, risk: Floats) -> bytes:
    """The share wrong among the surest answers, over how many are kept; (N,) each -> SVG."""
    rows = np.unique(np.linspace(0, len(coverage) - 1, 400).astype(int))
    with sheet(width=4.6, height=3.0, panels=1) as (figure, (axis,)):
        axis.plot(coverage[rows], risk[rows], color=COLOURS[0])
        axis.set(
            xlim=(0, 1), ylim=(0, None), xlabel="share of the answers kept, the surest first", ylabel="share wrong"
        )
        return svg(figure)


def familiarity(known: Floats, unknown: Floats, threshold: float) -> bytes:
    """How familiar known and unknown pictures are, and the threshold; (N,) and (M,) -> SVG."""
    every = np.concatenate([known, unknown])
    low = np.quantile(every, 0.02)  # the few that are stranger still are drawn at this end
    edges = np.linspace(min(low, threshold), max(every.max(), threshold + 1e-6), HISTOGRAM_BINS + 1)
    with sheet(width=6.4, height=3.0, panels=1) as (figure, (axis,)):
        for values, name, colour in ((known, "known", COLOURS[0]), (unknown, "unknown", COLOURS[1])):
            shares = np.histogram(np.clip(values, edges[0], None), edges)[0] / max(1, len(values))
            axis.stairs(shares, edges, fill=True, alpha=0.5, color=colour, label=name)
        axis.axvline(threshold, color=INK, linewidth=1, linestyle=":", label="threshold")
        axis.set(xlabel="familiarity", ylabel="share of the pictures")
        axis.legend()
        return svg(figure)
