"""How far a run is: pictures seen -> progress (0..1), for a fixed length and for a time budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Plan:
    """From ``progress`` at ``seen_pictures``, the rest of the run takes ``remaining`` more pictures.

    A run of fixed length keeps one plan from start to end. A run with a time budget is planned anew, from the rate
    measured last, so that it ends annealed and on time even when the machine's speed drifts.
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

    def replanned(self, seen_pictures: int, rate: float, seconds_left: float, batch: int) -> "Plan":
        """The plan that ends in ``seconds_left`` at ``rate`` pictures a second, from here; at least one batch."""
        remaining = max(batch, batch * math.floor(rate * seconds_left / batch))
        return Plan(seen_pictures, self.at(seen_pictures), remaining)

    def numbers(self) -> list[float]:
        """The plan as numbers, for a checkpoint or a message."""
        return [self.seen_pictures, self.progress, self.remaining]

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Self:
        """The plan that :meth:`numbers` gave."""
        return cls(round(numbers[0]), numbers[1], numbers[2])


def fixed_plan(pictures: int) -> Plan:
    """A run of ``pictures`` pictures."""
    return Plan(0, 0.0, pictures)
