"""What the length of a run affords beside training, counted in pictures that a network looks at."""

import math
import time
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from diptych.data.transforms import to_float
from diptych.engine import machine

FEW, MORE = 8, 32  # pictures in the trial; more where those few are seen in a moment
MOMENT = 0.2  # seconds
LEARNT_FROM = 64  # pictures in a step of training that is timed
LEARNING = 3  # looks that learning from a picture costs
MARGIN = 1.5  # reading pictures and gathering answers come on top


@dataclass(frozen=True)
class Budget:
    """A time budget, or a length in pictures.

    Attributes
    ----------
    minutes
        The time budget; ``None`` where the run's length is set otherwise.
    started
        ``time.monotonic()`` at which it began.
    each
        About the seconds that a picture takes the network to look at.
    shown
        Pictures to learn from in all, where that is the length of the run.
    """

    minutes: float | None
    started: float
    each: float
    shown: float = math.inf

    @classmethod
    def measured(
        cls, network: nn.Module, sample: Tensor, minutes: float | None, started: float, shown: float = math.inf
    ) -> Self:
        """With the network's pace from a trial on a few pictures, (n, 3, S, S) uint8."""
        where = machine.device()
        network.to(where).eval()
        few = to_float(sample[:FEW].to(where))
        _seconds(network, few)  # warms up
        spent = _seconds(network, few)
        if spent < MOMENT:
            few = to_float(sample[:MORE].to(where))
            _seconds(network, few)
            spent = _seconds(network, few)
        network.train()
        return cls(minutes, started, MARGIN * spent / len(few), shown)

    def pictures(self, share: float, least: int, most: int) -> int:
        """How many can be looked at in this share of the run: at least so many, at most so many."""
        looks = LEARNING * self.shown if self.minutes is None else self.seconds / self.each
        return min(most, max(least, int(min(share * looks, most))))

    @property
    def seconds(self) -> float:
        """The whole time budget."""
        return float("inf") if self.minutes is None else 60 * self.minutes

    @property
    def left(self) -> float:
        """What is left of it, in seconds; may be less than nothing."""
        return self.started + self.seconds - time.monotonic()


def training_pace(name: str, network: nn.Module, sample: Tensor) -> float:
    """About the seconds that training takes the network for each picture, of (n, 3, S, S) uint8.

    What is found is remembered for a day under the ``name``. The network is not to be used any more.
    """
    few, where = sample[:LEARNT_FROM], machine.device()

    def measure() -> dict[str, float]:
        return {"pace": _learning_seconds(network.to(where), few) / len(few)}

    return machine.cached_measurement(f"learning pace|{name}|{tuple(few.shape)}", where, measure)["pace"]


def _learning_seconds(network: nn.Module, pictures: Tensor) -> float:
    """A step of training, on the best of the machines that a trial begins with."""
    where, seconds = machine.device(), []
    network.train()
    tried = machine.candidate_machines(where)
    if where.type == "cpu":
        tried.append(replace(tried[0], im2col=True))
    for on in tried:
        on.prepare([network], [])
        few = on.to_memory_format(to_float(pictures.to(where)))
        with on.active():
            for _ in range(3):
                start = time.monotonic()
                with on.autocast():
                    loss = network(few).float().logsumexp(1).mean()
                loss.backward()
                loss.item()  # waits for a GPU
                seconds.append(time.monotonic() - start)
    return min(seconds)


def _seconds(network: nn.Module, pictures: Tensor) -> float:
    start = time.monotonic()
    with torch.inference_mode():
        network(pictures).sum().item()  # waits for a GPU
    return time.monotonic() - start
