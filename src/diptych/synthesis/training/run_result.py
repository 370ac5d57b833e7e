"""The result of a training run: the weights of its best moment, with their scores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diptych.engine.task import Tick
from diptych.synthesis.protocols import Weights

COPIES_THROUGHOUT = (
    "Many of its samples are copies of training pictures, at every moment that was evaluated. Do not share them "
    "unchecked; fit it on more pictures, or for a shorter time."
)


@dataclass(frozen=True)
class RunResult:
    """The weights that a run ends with, and what they score.

    Attributes
    ----------
    weights
        Of each network.
    seen_pictures
        Pictures seen when the weights were such.
    scores
        Losses and scores of that moment.
    notes
        Sentences that a person should read; usually none.
    """

    weights: Weights
    seen_pictures: int
    scores: dict[str, Any]
    notes: list[str]


def clearly_better(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether one distance lies below another by more than noise: their intervals are apart."""
    return one["kernel_distance_high"] < other.get("kernel_distance_low", -math.inf)


def was_better(best: Mapping[str, Any], scores: Mapping[str, float], last: Tick) -> str:
    """Why the model has the weights of an earlier moment: its samples were clearly better."""
    before, after = best["scores"]["kernel_distance"], scores["kernel_distance"]
    return (
        f"The samples were clearly better after {best['seen_pictures']:,} pictures seen than at the end, after "
        f"{last.seen_pictures:,} (kernel distance {before:.3f} against {after:.3f}): the model has the weights of the "
        "earlier moment."
    )


def stopped_for_copying(best: Mapping[str, Any], scores: Mapping[str, float], last: Tick) -> str:
    """Why training ended before its time."""
    return (
        f"The model had begun to copy its training pictures after {last.seen_pictures:,} pictures seen "
        f"({scores['copy_rate']:.0%} of its samples count as copies, as hardly any held-out picture does), so "
        f"training ended: the model has the weights of {best['seen_pictures']:,} pictures seen. With more pictures it "
        "could be trained for longer."
    )
