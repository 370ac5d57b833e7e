"""Samples of a rehearsal: a few, by which the time of all of them is told."""

import time

from torch import Tensor

from diptych.engine import machine
from diptych.synthesis.protocols import SampledModel
from diptych.synthesis.sampling import seeding
from diptych.synthesis.training.sample_grids import EvaluationSamples


class BriefSampler:
    """Samples a few pictures, and repeats them up to the number that is asked for.

    Attributes
    ----------
    seconds_each
        Of sampling a picture.
    seconds
        Of all that was sampled.
    calls
        How often samples were asked for.
    """

    def __init__(self) -> None:
        self.seconds_each = self.seconds = 0.0
        self.calls = 0

    def __call__(self, model: SampledModel, samples: EvaluationSamples, title: str) -> Tensor:
        """(N, 3, S, S) uint8, for as many as there are in ``samples``."""
        number = len(samples.labels)
        rows = min(number, seeding.chunk_size(model.size_, machine.device()))
        for _ in range(2):  # the first call also selects kernels
            start = time.monotonic()
            pixels = model.sample_pixels(range(rows), samples.labels[:rows])
            self.seconds_each = (time.monotonic() - start) / rows
            self.seconds += time.monotonic() - start
        self.calls += 1
        return pixels.repeat(-(-number // rows), 1, 1, 1)[:number]

    def missing_seconds(self, number: int) -> float:
        """That ``number`` samples at each call would take beyond those that were sampled."""
        return max(0.0, self.calls * number * self.seconds_each - self.seconds)
