"""A piece of work that a bar shows: how much of it is done, and how long the rest takes."""

import time
from dataclasses import dataclass

_UNCOUNTED = ("", "%", "‰")  # units whose count and rate mean nothing to a reader
_STEPS = "steps"  # of different lengths: what is left of them cannot be told from those that are done
MIN_SECONDS = 1.0  # of work, before which a rate means nothing


@dataclass(eq=False)
class Work:
    """An amount of work in some unit.

    Attributes
    ----------
    completed, skipped
        What is done, and how much of that was done by an earlier run.
    note
        Whatever else there is to say, such as "loss 0.41".
    """

    title: str
    total: int
    unit: str
    completed: int = 0
    skipped: int = 0
    note: str = ""
    _began: float = 0.0
    _ended: float | None = None

    def begin(self) -> None:
        """Start its clock."""
        self._began = time.monotonic()

    def end(self) -> None:
        """Stop its clock."""
        self._ended = time.monotonic()

    @property
    def share(self) -> float:
        """What is done, 0..1."""
        return min(1.0, self.completed / max(self.total, 1))

    @property
    def seconds(self) -> float:
        """Since its beginning, to its end if it has ended."""
        return (time.monotonic() if self._ended is None else self._ended) - self._began

    @property
    def rate(self) -> float:
        """Units a second; 0 until it can be told."""
        return (self.completed - self.skipped) / self.seconds if self.seconds > MIN_SECONDS else 0.0

    def details(self) -> str:
        """Count, rate and time in one line: "1,200 of 3,100 pictures, 84/s, 23 s left"."""
        return ", ".join(part for part in (self._count(), self._speed(), self._time()) if part)

    def brief(self) -> str:
        """All of it in a few words, as another bar's note: "training 38%, 23 s left"."""
        title = f"{self.title[:1].lower()}{self.title[1:]}"
        return ", ".join(part for part in (f"{title} {self.share:.0%}", self._time()) if part)

    def line(self) -> str:
        """All of it: "Training: 38%, 1,200 of 3,100 pictures, 84/s, 23 s left, loss 0.41"."""
        share = "" if self.unit == _STEPS else f"{self.share:.0%}"
        return f"{self.title}: {', '.join(part for part in (share, self.details(), self.note) if part)}"

    def _count(self) -> str:
        if self.unit == _STEPS:
            return f"step {min(self.completed + 1, self.total)} of {self.total}" if self._ended is None else ""
        return "" if self.unit in _UNCOUNTED else f"{self.completed:,} of {self.total:,} {self.unit}"

    def _speed(self) -> str:
        if self.unit in _UNCOUNTED or self.unit == _STEPS or not self.rate:
            return ""
        return f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{self.rate:.1f}/s" if self.rate >= 1 else ""

    def _time(self) -> str:
        if self._ended is not None:
            return f"{duration(self.seconds)} in all"
        if self.unit == _STEPS or not self.rate:
            return ""
        return f"{duration(max(0, self.total - self.completed) / self.rate)} left"


def duration(seconds: float) -> str:
    """Words for a time: "23 s", "4 min 10 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
