"""What a run can afford beside training, counted in pictures that the network runs on."""

import math
import time
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.recognition.inference.batched import batch_and_threads
from diptych.recognition.networks import Network

TRIALS = 3  # of which the quickest counts: others work on the machine, too
STEP_PICTURES = 64  # in a timed step of training
TRAINING_COST = 3  # forward passes that training on a picture costs
OVERHEAD = 1.5  # reading pictures and gathering outputs come on top


@dataclass(frozen=True)
class Budget:
    """A time budget, or a length in pictures.

    Attributes
    ----------
    minutes
        The time budget; ``None`` where the run's length is set otherwise.
    started
        ``time.monotonic()`` at which it began.
    seconds_per_picture
        About the seconds that a forward pass takes, reading the picture included.
    training_pictures
        Pictures to train on in all, where that is the length of the run.
    """

    minutes: float | None
    started: float
    seconds_per_picture: float
    training_pictures: float = math.inf

    @classmethod
    def measure(
        cls,
        network: Network,
        sample: Tensor,
        *,
        minutes: float | None,
        started: float,
        training_pictures: float = math.inf,
    ) -> Self:
        """The budget with the network's speed on the leader, timed on a few pictures, (n, 3, S, S) uint8."""
        (seconds,) = ProcessGroup(machine.device()).broadcast([OVERHEAD * _forward_rate(network, sample)])
        return cls(minutes, started, seconds, training_pictures)

    def measured_again(self, network: Network, sample: Tensor) -> Self:
        """The same with the better of its speed and that of now: the first may have been timed beside other work."""
        seconds = min(self.seconds_per_picture, OVERHEAD * _forward_rate(network, sample))
        return replace(self, seconds_per_picture=seconds)

    def moment(self, share: float) -> float:
        """``time.monotonic()`` at which this share of the budget is used up; infinite where there is none."""
        return self.started + share * self.seconds

    def moment_from_now(self, share: float) -> float:
        """``time.monotonic()`` in this share of the budget."""
        return time.monotonic() + share * self.seconds

    def affordable(self, share: float, at_least: int, at_most: int) -> int:
        """How many pictures the network can run on in this share of the run, within these bounds."""
        passes = TRAINING_COST * self.training_pictures
        if self.minutes is not None:
            passes = self.seconds / self.seconds_per_picture
        return min(at_most, max(at_least, int(min(share * passes, at_most))))

    @property
    def seconds(self) -> float:
        """The whole time budget; infinite where there is none."""
        return float("inf") if self.minutes is None else 60 * self.minutes

    @property
    def seconds_left(self) -> float:
        """What is left of it; may be negative."""
        return self.started + self.seconds - time.monotonic()


def training_pace(name: str, network: nn.Module, sample: Tensor) -> float:
    """About the seconds that training takes the network for each picture, of (n, 3, S, S) uint8.

    The measurement is cached for a day under the ``name``. The network must not be used afterwards.
    """
    pictures, device = sample[:STEP_PICTURES], machine.device()

    def measure() -> dict[str, float]:
        return {"pace": _step_seconds(network.to(device), pictures) / len(pictures)}

    key = f"training pace|{name}|{tuple(pictures.shape)}"
    return machine.cached_measurement(key, device, measure, {"pace"})["pace"]


def _step_seconds(network: nn.Module, sample: Tensor) -> float:
    """A training step, on the fastest of the machines that a trial begins with."""
    device, seconds = machine.device(), []
    network.train()
    machines = machine.candidate_machines(device)
    if device.type == "cpu":
        machines.append(replace(machines[0], im2col=True))
    for candidate in machines:
        candidate.prepare([network], [])
        pictures = candidate.to_memory_format(to_float(sample.to(device)))
        with candidate.active():
            for _ in range(3):
                start = time.monotonic()
                with candidate.autocast():
                    loss = network(pictures).float().logsumexp(1).mean()
                loss.backward()
                loss.item()  # waits for a GPU
                seconds.append(time.monotonic() - start)
    return min(seconds)


def _forward_seconds(network: nn.Module, pictures: Tensor) -> float:
    start = time.monotonic()
    with torch.inference_mode():
        network(pictures).sum().item()  # waits for a GPU
    return time.monotonic() - start


def _forward_rate(network: Network, sample: Tensor) -> float:
    """Seconds that a forward pass takes for each picture, of (n, 3, S, S) uint8."""
    device = machine.device()
    network.to(device).eval()
    count, threads = batch_and_threads(network, device, sample.shape[-1])
    pictures = to_float(sample[:count].to(device))
    cores = torch.get_num_threads()
    torch.set_num_threads(max(1, cores // threads))  # as each thread of inference has them
    try:
        _forward_seconds(network, pictures)  # warms up
        seconds = min(_forward_seconds(network, pictures) for _ in range(TRIALS))
    finally:
        torch.set_num_threads(cores)
    network.train()
    return seconds / len(pictures) / threads
