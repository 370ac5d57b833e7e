"""The hinge: each panel checks and feeds the other."""

from diptych.interplay.score import Agreement, agreement

__all__ = ["Agreement", "agreement"]
