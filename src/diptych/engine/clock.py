"""Time: what a run has used, what its budget leaves, and the plan that fits into it."""

import math
import time

from diptych.engine.plan import Plan, fixed_plan
from diptych.engine.task import Recipe

REPLAN_SHARE = 1 / 100  # of the budget: how often the run is planned anew
SMOOTHED_SHARE = 1 / 20  # of the budget: how far back the measured rate reaches


class Clock:
    """Keeps the plan of a run, and plans anew as the measured rate drifts where there is a time budget.

    Parameters
    ----------
    recipe
        Gives the length or the budget.
    started
        ``time.monotonic()`` at which the budget began.
    """

    def __init__(self, recipe: Recipe, started: float) -> None:
        self.recipe = recipe
        self._started = started
        self.reserve_seconds = recipe.reserve_seconds
        self.seconds_before = 0.0  # used by earlier stretches of a resumed run
        self.plan = fixed_plan(recipe.pictures or recipe.batch)
        self._rate = 0.0
        self._measured_at, self._measured_seen = 0.0, 0

    @property
    def seconds(self) -> float:
        """Seconds used since ``fit`` began, earlier stretches included."""
        return self.seconds_before + time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        """What the budget leaves for training; infinite without a budget."""
        if self.recipe.minutes is None:
            return math.inf
        budget = 60 * self.recipe.minutes
        return budget - min(self.reserve_seconds, budget / 2) - self.seconds

    def expected(self, rate: float) -> float:
        """Seconds that the whole run will take at ``rate`` pictures a second."""
        if self.recipe.pictures is None:
            return self.seconds_left
        return self.recipe.pictures / max(rate, 1e-9)

    def lay_out(self, rate: float, seen_pictures: int) -> None:
        """Begin at ``rate`` pictures a second: with a budget, plan the run to fill it."""
        self._rate = rate
        self._measured_at, self._measured_seen = time.monotonic(), seen_pictures
        self.plan = self._fitted(seen_pictures)

    def look(self, seen_pictures: int) -> Plan:
        """The plan as of now: from the rate measured lately with a budget, else as it was."""
        now = time.monotonic()
        passed = now - self._measured_at
        budget = 60 * (self.recipe.minutes or math.inf)
        if passed < REPLAN_SHARE * budget:
            return self.plan
        measured = (seen_pictures - self._measured_seen) / passed
        weight = 1 - math.exp(-passed / (SMOOTHED_SHARE * budget))
        self._rate += (measured - self._rate) * weight
        self._measured_at, self._measured_seen = now, seen_pictures
        return self._fitted(seen_pictures)

    def _fitted(self, seen_pictures: int) -> Plan:
        if self.recipe.minutes is None or self.plan_done(seen_pictures):
            return self.plan
        return self.plan.replanned(seen_pictures, self._rate, self.seconds_left, self.recipe.batch)

    def plan_done(self, seen_pictures: int) -> bool:
        """Whether the run has come to its end (a run without any step yet has not)."""
        return seen_pictures > 0 and self.plan.at(seen_pictures) >= 1
