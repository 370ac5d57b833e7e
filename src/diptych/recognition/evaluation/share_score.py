"""Shares of pictures as scores."""

from diptych.metrics.intervals import wilson_interval
from diptych.report import Score


def share_score(hits: float, n: int) -> Score:
    """The share ``hits / n`` of n pictures, with its 95 % interval after Wilson; ``n`` is at least 1."""
    return Score(hits / n, *wilson_interval(hits, n), n, share=True)
