"""Interplay of the two panels: recognizers score synthesizers."""

from diptych.interplay.agreement import Agreement, agreement
from diptych.interplay.score import score

__all__ = ["Agreement", "agreement", "score"]
