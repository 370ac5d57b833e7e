"""The verdict: whether synthetic pictures help, by a protocol that can say "no"."""

from diptych.interplay.verdict.source import PictureSource, Refittable
from diptych.interplay.verdict.verdict import verdict

__all__ = ["PictureSource", "Refittable", "verdict"]
