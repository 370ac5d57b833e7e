"""Figures of membership inference: what an attack finds at each rate of false alarms, and its scores.

The same input gives the same bytes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diptych.report.figures import COLOURS, INK, shortened, styled_figure, svg

MIN_RATE = 1e-3  # at which the axes begin
BINS = 40
TAIL = 0.5  # percent of the scores at either end are drawn into the outermost bins

Values = NDArray[np.float64]


def attack_curves(curves: Mapping[str, tuple[Values, Values]], allowed: float) -> bytes:
    """True-positive rates over false-positive rates, both axes logarithmic, of attacks by name -> SVG.

    Dotted: chance, and the rate of false alarms at which training pictures are counted. Averages such as the area under
    the curve hide what happens at its lower left, where an attacker can be sure (Carlini et al. 2022, figure 1).
    """
    with styled_figure(width=4.6, height=3.6) as (figure, axis):
        for colour, (name, (false_rates, true_rates)) in zip(COLOURS, curves.items(), strict=False):
            shown = np.maximum(false_rates, MIN_RATE), np.maximum(true_rates, MIN_RATE)
            axis.step(*shown, where="post", color=colour, linewidth=1.6, label=shortened(name.partition(",")[0], 30))
        axis.plot([MIN_RATE, 1], [MIN_RATE, 1], color=INK, linewidth=1, linestyle=":")
        axis.axvline(allowed, color=INK, linewidth=1, linestyle=":")
        axis.set(xscale="log", yscale="log", xlim=(MIN_RATE, 1), ylim=(MIN_RATE, 1.05))
        axis.set(xlabel="false alarms", ylabel="training pictures found")
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        if len(curves) > 1:
            axis.legend()
        return svg(figure)


def attack_scores(members: Values, others: Values, threshold: float) -> bytes:
    """Histograms of an attack's scores for training pictures and for others, and the threshold -> SVG."""
    both = np.concatenate([members, others])
    low, high = np.percentile(both, [TAIL, 100 - TAIL])
    edges = np.linspace(min(low, threshold), max(high, threshold) + 1e-9, BINS + 1)
    with styled_figure(width=4.6, height=3.0) as (figure, axis):
        for colour, name, values in zip(COLOURS, ("trained on", "not trained on"), (members, others), strict=False):
            weights = np.full(len(values), 1 / len(values))
            shown = np.clip(values, edges[0], edges[-1])
            axis.hist(shown, edges.tolist(), weights=weights, color=colour, alpha=0.55, label=name)
        axis.axvline(threshold, color=INK, linewidth=1, linestyle=":")
        axis.set(xlabel="score", ylabel="share of the pictures")
        axis.legend()
        return svg(figure)
