"""A score within a time budget: how many pictures, and how long the recognizers that it trains may take."""

import time
from collections.abc import Callable

from diptych.engine.run_settings import check_length

TRIAL_PICTURES = 20  # that are timed before the others are chosen
SAMPLING_SHARE = 0.35  # of the time at most goes into sampling,
TRAINING_SHARE = 0.15  # into training a judge,
EMBEDDING_SHARE = 0.5  # of what then is left into embedding both sides,
COPIES_SHARE = 0.4  # of what then is left into the search for copies,
CAS_SHARE = 0.8  # of the rest into the two recognizers of the classification accuracy score
MIN_CAS_SECONDS = 5.0  # for each of them; in less they learn nothing


class Budget:
    """The time of one score, which begins now.

    Parameters
    ----------
    minutes
        For all of it; ``None``: as long as it takes, and nothing is limited.

    Attributes
    ----------
    left_out
        What there was no time for, in words.
    """

    def __init__(self, minutes: float | None) -> None:
        check_length(minutes)
        self.minutes = minutes
        self.left_out: list[str] = []
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the score began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds that are left; infinite without a budget."""
        return float("inf") if self.minutes is None else max(0.0, 60 * self.minutes - self.seconds)

    def training_minutes(self) -> float | None:
        """For training a judge; ``None``: a bounded number of epochs."""
        return None if self.minutes is None else TRAINING_SHARE * self.minutes

    def affordable(self, most: int, share: float, trial: Callable[[int], object], times: float = 1) -> int:
        """How many of ``most`` pictures fit ``times`` over into a share of the time left, by a timed ``trial``.

        The trial does some pictures, twice: the first time it also loads and compiles. At least the trial's number.
        """
        if self.minutes is None or most <= TRIAL_PICTURES:
            return most
        seconds = share * self.left
        trial(TRIAL_PICTURES)
        start = time.monotonic()
        trial(TRIAL_PICTURES)
        each = max(time.monotonic() - start, 1e-6) / TRIAL_PICTURES
        return max(TRIAL_PICTURES, min(most, int(seconds / (each * times))))

    def cas_minutes(self) -> float | None:
        """For each of the two recognizers of the classification accuracy score; 0: there is too little time."""
        if self.minutes is None:
            return None
        each = CAS_SHARE * self.left / 2
        return each / 60 if each >= MIN_CAS_SECONDS else 0.0

    def note(self) -> list[str]:
        """What was left out, as a finding; empty where nothing was."""
        if not self.left_out:
            return []
        return [f"Within {self.minutes:g} minutes there was no time for {'; '.join(self.left_out)}."]
