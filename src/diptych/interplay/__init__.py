"""Interplay of the two panels: each evaluates and feeds the other."""

from diptych.interplay.agreement import Agreement, agreement
from diptych.interplay.balance import balance
from diptych.interplay.score import score
from diptych.interplay.verdict import PictureSource, Refittable, verdict

__all__ = ["Agreement", "PictureSource", "Refittable", "agreement", "balance", "score", "verdict"]
