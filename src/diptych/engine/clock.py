"""Time and progress: what a run has used, what is left of its budget, and the plan that fits into it."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from diptych.engine.task import Recipe

REPLAN_SHARE = 1 / 100  # of the budget: how often the run is replanned
SMOOTHED_SHARE = 1 / 20  # of the budget: the time constant of the smoothed rate


@dataclass(frozen=True)
class Plan:
    """From ``progress`` at ``seen_pictures``, the rest of the run takes ``remaining`` more pictures.

    A run of fixed length has one plan from start to end. A run with a time budget is replanned from the rate measured
    last, so that it ends annealed and on time even when the machine's speed drifts.
    """

    seen_pictures: int
    progress: float
    remaining: float

    @property
    def end(self) -> float:
        """Pictures seen when the run is done."""
        return self.seen_pictures + self.remaining

    def at(self, seen_pictures: int) -> float:
        """Progress after ``seen_pictures``; exactly 1.0 from the end on."""
        done = (seen_pictures - self.seen_pictures) / max(self.remaining, 1e-9)
        progress = self.progress + (1 - self.progress) * done
        return 1.0 if progress > 1 - 1e-9 else progress

    def replanned(
        self, seen_pictures: int, rate: float, seconds_left: float, batch: int, most: float = math.inf
    ) -> "Plan":
        """A plan from here that ends in ``seconds_left`` at ``rate`` pictures a second, or after ``most`` in all.

        At least one batch remains.
        """
        affordable = batch * math.floor(rate * seconds_left / batch)
        return Plan(seen_pictures, self.at(seen_pictures), max(batch, min(affordable, most - seen_pictures)))

    def numbers(self) -> list[float]:
        """The plan as numbers, for a checkpoint or a message."""
        return [self.seen_pictures, self.progress, self.remaining]

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> Self:
        """The plan from what :meth:`numbers` returned."""
        return cls(round(numbers[0]), numbers[1], numbers[2])


def fixed_plan(pictures: int) -> Plan:
    """The plan of a run of ``pictures`` pictures."""
    return Plan(0, 0.0, pictures)


class Clock:
    """The clock and plan of a run; with a time budget, it replans as the measured rate drifts.

    Parameters
    ----------
    recipe
        The recipe of the run, with its length or its time budget.
    started
        ``time.monotonic()`` at which the budget began.
    """

    def __init__(self, recipe: Recipe, started: float) -> None:
        self.recipe = recipe
        self._started = started
        self.reserve_seconds = recipe.reserve_seconds
        self.seconds_before = 0.0  # used before a resumed run was interrupted
        self.plan = fixed_plan(recipe.pictures or recipe.batch)
        self._rate = 0.0
        self._measured_at, self._measured_pictures = 0.0, 0

    @property
    def seconds(self) -> float:
        """Seconds used since ``fit`` began, those before an interruption included."""
        return self.seconds_before + time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        """Seconds of the budget left for training; infinite without a budget."""
        if self.recipe.minutes is None:
            return math.inf
        budget = 60 * self.recipe.minutes
        return budget - min(self.reserve_seconds, budget / 2) - self.seconds

    def expected_seconds(self, rate: float) -> float:
        """Seconds that the whole run will take at ``rate`` pictures a second."""
        return min((self.recipe.pictures or math.inf) / max(rate, 1e-9), self.seconds_left)

    def start(self, rate: float, seen_pictures: int) -> None:
        """Start at ``rate`` pictures a second: with a budget, plan the run to fill it."""
        self._rate = rate
        self._measured_at, self._measured_pictures = time.monotonic(), seen_pictures
        self.plan = self._fit_to_budget(seen_pictures)

    def replan(self, seen_pictures: int) -> Plan:
        """The current plan: with a budget from the rate measured lately, else unchanged."""
        now = time.monotonic()
        elapsed = now - self._measured_at
        budget = 60 * (self.recipe.minutes or math.inf)
        if elapsed < REPLAN_SHARE * budget:
            return self.plan
        measured = (seen_pictures - self._measured_pictures) / elapsed
        weight = 1 - math.exp(-elapsed / (SMOOTHED_SHARE * budget))
        self._rate += (measured - self._rate) * weight
        self._measured_at, self._measured_pictures = now, seen_pictures
        return self._fit_to_budget(seen_pictures)

    def _fit_to_budget(self, seen_pictures: int) -> Plan:
        if self.recipe.minutes is None or self.is_done(seen_pictures):
            return self.plan
        most = self.recipe.pictures or math.inf
        return self.plan.replanned(seen_pictures, self._rate, self.seconds_left, self.recipe.batch, most)

    def is_done(self, seen_pictures: int) -> bool:
        """Whether the run is at its end (a run without any step yet is not)."""
        return seen_pictures > 0 and self.plan.at(seen_pictures) >= 1
