"""Generated pictures for one class, in rounds: sampled, filtered, until there are enough or a limit is reached."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.interplay.balance_needs import MAX_FOR_COVERAGE, ClassNeed, Supply, coverage_of
from diptych.interplay.sample_filter import Measured, SampleFilter
from diptych.synthesis.datasets import random_subset

if TYPE_CHECKING:
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

PROBE = 64  # pictures that say what a synthesizer can give for a class
ROUND = 512  # pictures at a time at most
LIMIT = 5  # times as many pictures as are to be added are sampled at most, and the probe
HOPELESS = 200  # pictures of which none passes, after which no more are sampled
MARGIN = 1.1  # more than the share that has passed so far asks for
SEED_STRIDE = 1 << 32  # between the seeds of one class and those of the next

Correct = Callable[[Images], NDArray[np.bool_]]  # whether a recognizer gets each picture's label right


@dataclass
class ClassResult:
    """What was done for a class.

    Attributes
    ----------
    need
        What it needed.
    wanted
        How many pictures were to be added, after what the synthesizer can give.
    added
        Generated pictures that passed the filter; ``None``: none was to be added.
    sampled
        How many were generated.
    dropped
        How many of them were dropped for each reason.
    rejected
        The first of the pictures that were dropped; ``None``: none was.
    supply
        What the synthesizer can give; ``None``: nothing was sampled.
    """

    need: ClassNeed
    wanted: int = 0
    added: Images | None = None
    sampled: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    rejected: Images | None = None
    supply: Supply | None = None

    @property
    def count(self) -> int:
        """How many pictures are added."""
        return 0 if self.added is None else len(self.added)

    @property
    def missing(self) -> int:
        """How many pictures the class still has too few."""
        return self.need.missing - self.count

    @property
    def sentence(self) -> str:
        """Why the class does not get all that it lacks; empty where it does."""
        need = self.need
        if not self.missing:
            return ""
        if need.well_recognized:
            return f"{need.name}: none added, the recognizer is right about {need.recall} of its pictures already."
        why = [] if self.supply is None or not self.supply.reason else [self.supply.reason]
        if self.count < self.wanted:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.most_common(2))
            why.append(f"of {self.sampled:,} pictures sampled {self.count:,} passed the filter (dropped: {reasons})")
        amount = f"{self.count:,} of {need.missing:,}" if self.count else "none"
        return f"{need.name}: {amount} added, since {' and '.join(why)}."


def fill_class(
    need: ClassNeed,
    number: int,
    real: Images,
    synthesizer: "GAN | VAE | Flow",
    sample_filter: SampleFilter,
    correct: Correct | None,
    seed: int,
) -> ClassResult:
    """Sample for one class until it has enough pictures that pass.

    Parameters
    ----------
    number
        Of the class, among those of the set: its seeds follow from it.
    real
        The pictures of the set that are trained on.
    correct
        Of the recognizer that a person named; ``None``: the filter's own recognizer decides what is taken for another.
    """
    result = ClassResult(need)
    if not need.missing or need.well_recognized:
        return result
    first = seed + number * SEED_STRIDE
    images = synthesizer.sample(PROBE, label=need.name, seed=first)
    measured = sample_filter.measure(images)
    right = float(measured.correct.float().mean()) if correct is None else float(correct(images).mean())
    own = random_subset(real[real.labels == number], MAX_FOR_COVERAGE, seed)
    covered = coverage_of(sample_filter.neutral_features(images), sample_filter.neutral_features(own))
    recall = None if need.recall is None else need.recall.value
    coverage, of_real = covered or (None, None)
    result.supply = Supply(right, coverage, of_real, recall)
    result.wanted = math.ceil(need.missing * result.supply.share)
    _add_passing(result, images, sample_filter, measured)
    limit = LIMIT * result.wanted + PROBE
    while result.count < result.wanted and (size := _next_round(result, limit)):
        _add_passing(result, synthesizer.sample(size, label=need.name, seed=first + result.sampled), sample_filter)
    return result


def _add_passing(
    result: ClassResult, images: Images, sample_filter: SampleFilter, measured: Measured | None = None
) -> None:
    filtered = sample_filter.apply(images, measured)
    passing = images[np.flatnonzero(filtered.kept)[: result.wanted - result.count]]
    if len(passing):
        result.added = passing if result.added is None else result.added + passing
    if result.rejected is None and not filtered.kept.all():
        result.rejected = images[~filtered.kept]
    result.sampled += len(images)
    result.dropped.update(filtered.reasons)


def _next_round(result: ClassResult, limit: int) -> int:
    """How many pictures to sample next, by the share that has passed; 0: no more."""
    passed = result.sampled - sum(result.dropped.values())
    if not passed and result.sampled >= HOPELESS:
        return 0
    needed = (result.wanted - result.count) * result.sampled / max(passed, 1)
    return max(0, min(math.ceil(MARGIN * needed), ROUND, limit - result.sampled))
