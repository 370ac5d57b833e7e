"""The hinge: each panel checks and feeds the other."""

from diptych.interplay.agreeing import Agreement, agreement
from diptych.interplay.scoring import score

__all__ = ["Agreement", "agreement", "score"]
