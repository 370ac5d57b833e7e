"""Interplay of the two panels: recognizers score synthesizers, synthesizers fill up the sets of recognizers."""

from diptych.interplay.agreement import Agreement, agreement
from diptych.interplay.balance import balance
from diptych.interplay.score import score

__all__ = ["Agreement", "agreement", "balance", "score"]
