"""Forest plots: a score of each of several groups with its interval. The same input gives the same bytes."""

from collections.abc import Mapping

from diptych.report.figures import COLOURS, INK, percent, shortened, styled_figure, svg
from diptych.report.report import Score

MAX_ROWS = 40  # more are not legible
NAME_LENGTH = 34  # characters


def forest(scores: Mapping[str, Score | None], reference: float, label: str, faint: frozenset[str]) -> bytes:
    """A point and its 95 % interval for each name, top to bottom -> SVG.

    Parameters
    ----------
    scores
        Shares by name; ``None`` leaves the row empty.
    reference
        Where the dotted line is, such as the share over all.
    label
        Of the axis.
    faint
        Names of rows that are drawn pale and hollow, since they rest on too few pictures.
    """
    shown = dict(list(scores.items())[:MAX_ROWS])
    with styled_figure(width=5.4, height=0.9 + 0.26 * len(shown)) as (figure, axis):
        axis.axvline(reference, color=INK, linewidth=1, linestyle=":")
        for row, (name, score) in enumerate(shown.items()):
            if score is None:
                continue
            pale = name in faint
            alpha = 0.45 if pale else 1.0
            if score.low is not None and score.high is not None:
                axis.plot([score.low, score.high], [row, row], color=COLOURS[0], linewidth=1.6, alpha=alpha)
            face = "none" if pale else COLOURS[0]
            axis.plot([score.value], [row], "o", color=COLOURS[0], markerfacecolor=face, markersize=5, alpha=alpha)
        axis.set_yticks(range(len(shown)), [shortened(name, NAME_LENGTH) for name in shown])
        axis.set_ylim(len(shown) - 0.5, -0.5)
        axis.grid(False, axis="y")
        axis.set_xlabel(label)
        if all(score is None or score.share for score in shown.values()):
            axis.xaxis.set_major_formatter(percent)
        return svg(figure)
