"""The result of a training run: the weights of its best moment, with their scores."""

from dataclasses import dataclass
from typing import Any

from diptych.synthesis.protocols import Weights


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
