"""Figures on how reliable confidence is. The same input gives the same bytes."""

import numpy as np
from numpy.typing import NDArray

from diptych.report.figures import COLOURS, INK, styled_figure, svg

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
BINS = 10
HISTOGRAM_BINS = 40


def reliability(confidence: Floats, correct: Bools) -> bytes:
    """Reliability diagram: the share of correct predictions by confidence, beside their number -> SVG.

    (N,) each; a bar for each tenth of confidence that occurs (DeGroot & Fienberg 1983). On the diagonal, confidence
    is calibrated.
    """
    confidence = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = np.flatnonzero(counts)
    shares, means = (np.bincount(bins, values, BINS)[filled] / counts[filled] for values in (correct, confidence))
    with styled_figure(width=8.0, height=3.2, panels=2) as (figure, (shares_axis, counts_axis)):
        shares_axis.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
        shares_axis.bar((filled + 0.5) / BINS, shares, width=0.9 / BINS, color=COLOURS[0], alpha=0.5)
        shares_axis.plot(means, shares, "o", color=COLOURS[0], markersize=4)
        shares_axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share correct")
        counts_axis.bar((np.arange(BINS) + 0.5) / BINS, counts, width=0.9 / BINS, color=COLOURS[2])
        counts_axis.set(xlim=(0, 1), xlabel="confidence", ylabel="predictions")
        return svg(figure)


def risk_coverage(coverage: Floats, risk: Floats) -> bytes:
    """The error rate of the most confident predictions over the share of predictions kept; (N,) each -> SVG."""
    rows = np.unique(np.linspace(0, len(coverage) - 1, 400).astype(int))
    with styled_figure(width=4.6, height=3.0, panels=1) as (figure, (axis,)):
        axis.plot(coverage[rows], risk[rows], color=COLOURS[0])
        axis.set(xlim=(0, 1), ylim=(0, None))
        axis.set(xlabel="share of predictions kept, most confident first", ylabel="error rate")
        return svg(figure)


def familiarity(known: Floats, unknown: Floats, threshold: float) -> bytes:
    """Histograms of the familiarity of known and unknown pictures, with the threshold; (N,) and (M,) -> SVG."""
    values = np.concatenate([known, unknown])
    low = np.quantile(values, 0.02)  # the 2 % below are drawn in the first bin
    edges = np.linspace(min(low, threshold), max(values.max(), threshold + 1e-6), HISTOGRAM_BINS + 1)
    with styled_figure(width=6.4, height=3.0, panels=1) as (figure, (axis,)):
        for group, name, colour in ((known, "known", COLOURS[0]), (unknown, "unknown", COLOURS[1])):
            shares = np.histogram(np.clip(group, edges[0], None), edges)[0] / max(1, len(group))
            axis.stairs(shares, edges, fill=True, alpha=0.5, color=colour, label=name)
        axis.axvline(threshold, color=INK, linewidth=1, linestyle=":", label="threshold")
        axis.set(xlabel="familiarity", ylabel="share of pictures")
        axis.legend()
        return svg(figure)
