"""The hinge: each panel checks and feeds the other."""

from diptych.interplay.agreement import Agreement, agreement
from diptych.interplay.score import score

__all__ = ["Agreement", "agreement", "score"]
