"""The progress of a run: pictures seen -> 0..1, for a fixed length and for a time budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


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

    def replanned(self, seen_pictures: int, rate: float, seconds_left: float, batch: int) -> "Plan":
        """A plan from here that ends in ``seconds_left`` at ``rate`` pictures a second; at least one batch."""
        remaining = max(batch, batch * math.floor(rate * seconds_left / batch))
        return Plan(seen_pictures, self.at(seen_pictures), remaining)

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
