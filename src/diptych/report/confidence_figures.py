"""Figures on how reliable confidence is. The same input gives the same bytes."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.report.figures import COLOURS, INK, percent, styled_figure, svg

if TYPE_CHECKING:
    from matplotlib.axis import Axis

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
BINS = 10
HISTOGRAM_BINS = 40


def reliability(confidence: Floats, correct: Bools) -> bytes:
    """Reliability diagram: the share of correct predictions by confidence -> SVG.

    (N,) each; a bar for each tenth of confidence that occurs (DeGroot & Fienberg 1983). On the diagonal, confidence
    is calibrated.
    """
    confidence = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = np.flatnonzero(counts)
    shares, means = (np.bincount(bins, values, BINS)[filled] / counts[filled] for values in (correct, confidence))
    with styled_figure(width=4.6, height=3.2) as (figure, axis):
        axis.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
        axis.bar((filled + 0.5) / BINS, shares, width=0.9 / BINS, color=COLOURS[0], alpha=0.5)
        axis.plot(means, shares, "o", color=COLOURS[0], markersize=4)
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="correct")
        _in_percent(axis.xaxis, axis.yaxis)
        return svg(figure)


def confidence_histogram(confidence: Floats) -> bytes:
    """The number of predictions by confidence, (N,) in 0..1 -> SVG."""
    with styled_figure(width=4.6, height=3.2) as (figure, axis):
        axis.hist(confidence, bins=BINS, range=(0, 1), rwidth=0.9, color=COLOURS[2])
        axis.set(xlim=(0, 1), xlabel="confidence", ylabel="predictions")
        _in_percent(axis.xaxis)
        return svg(figure)


def risk_coverage(coverage: Floats, risk: Floats) -> bytes:
    """The error rate of the most confident predictions over the share of predictions kept; (N,) each -> SVG."""
    rows = np.unique(np.linspace(0, len(coverage) - 1, 400).astype(int))
    with styled_figure(width=4.6, height=3.2) as (figure, axis):
        axis.plot(coverage[rows], risk[rows], color=COLOURS[0])
        axis.set(xlim=(0, 1), ylim=(0, None))
        axis.set(xlabel="predictions kept, most confident first", ylabel="errors")
        _in_percent(axis.xaxis, axis.yaxis)
        return svg(figure)


def familiarity(known: Floats, unknown: Floats, threshold: float) -> bytes:
    """Histograms of the familiarity of known and unknown pictures, with the threshold; (N,) and (M,) -> SVG."""
    values = np.concatenate([known, unknown])
    low = np.quantile(values, 0.02)  # the 2 % below are drawn in the first bin
    edges = np.linspace(min(low, threshold), max(values.max(), threshold + 1e-6), HISTOGRAM_BINS + 1)
    with styled_figure(width=4.6, height=3.2) as (figure, axis):
        for group, name, colour in ((known, "known", COLOURS[0]), (unknown, "unknown", COLOURS[1])):
            shares = np.histogram(np.clip(group, edges[0], None), edges)[0] / max(1, len(group))
            axis.stairs(shares, edges, fill=True, alpha=0.5, color=colour, label=name)
        axis.axvline(threshold, color=INK, linewidth=1, linestyle=":", label="threshold")
        axis.set(xlabel="familiarity", ylabel="pictures")
        _in_percent(axis.yaxis)
        axis.legend()
        return svg(figure)


def _in_percent(*axes: "Axis") -> None:
    for axis in axes:
        axis.set_major_formatter(percent)
