"""A training run whose steps are differentially private: the engine's loop with another step."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.loop import Run
from diptych.engine.machine import Machine
from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.gradients import add_clipped, gradients_of_pictures, set_noised
from diptych.engine.privacy.secret_randomness import SecretRandomness, new_secret
from diptych.engine.randomness import seed_generators
from diptych.engine.task import Recipe, Task, Tick
from diptych.errors import UsageError

SECRET = "secret"  # in the run's extra state, under this name  # nosec B105
MAX_GRADIENTS = 60_000_000  # numbers in the gradients of the pictures that are computed at a time, 240 MB
MAX_CHUNK = 256  # of these pictures, copies included
TRIAL_PICTURES = 32  # in the step that the rate is measured by


class PoissonOrder:
    """Which pictures each step is taken on: each one with the same probability, whatever the others."""

    def __init__(self, pictures: int, rate: float, randomness: SecretRandomness) -> None:
        self._pictures, self._rate, self._randomness = pictures, rate, randomness

    def batch(self, start: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the step that begins at position ``start``, none or more, and a turn of 0 for each."""
        rows = self._randomness.sampled(start // size, self._pictures, self._rate)
        return rows, np.zeros(len(rows), np.int64)


class PrivateRun(Run):
    """A run that keeps to a privacy budget; see :class:`diptych.engine.loop.Run`.

    Its steps are those of Abadi et al. 2016, algorithm 1: a Poisson sample of the pictures, each picture's gradient
    clipped, Gaussian noise on their sum. All else, the moving average of the weights included, works on their results
    alone, which spends nothing.

    Parameters
    ----------
    budget
        Its steps are the run's length.
    copies
        How often each picture of a step is augmented, or noised, before its gradients are averaged.
    """

    def __init__(
        self,
        task: Task,
        images: Images,
        *,
        size: int,
        recipe: Recipe,
        budget: Budget,
        copies: int = 1,
        geometry: Geometry = "squash",
        folder: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        started: float | None = None,
    ) -> None:
        self.budget, self.copies = budget, copies
        if len(task.players()) > 1 or recipe.minutes is not None or recipe.pictures != budget.steps * recipe.batch:
            raise UsageError("A private run has one player, and the steps of its budget: no time budget.")
        if ProcessGroup(machine.device()).world_size > 1:
            raise UsageError(
                "Private training runs in one process, which sampling and noise are accounted for. Start it without "
                "torchrun."
            )
        super().__init__(
            task, images, size=size, recipe=recipe, geometry=geometry, folder=folder, settings=settings, started=started
        )

    def __iter__(self) -> Iterator[Tick]:
        with gradients_of_pictures(self.modules.values()):
            yield from super().__iter__()

    def tick(self) -> Tick:
        """The moment that the run has reached, without the losses: those of training pictures are not noised."""
        return replace(super().tick(), losses={})

    def _resume(self) -> None:
        super()._resume()
        self._randomness = SecretRandomness(self.extra_state.setdefault(SECRET, new_secret()))
        self.loader.order = PoissonOrder(len(self.loader.images), self.budget.sampling_rate, self._randomness)

    def _choose_machine(self) -> tuple[Machine, float]:
        """The device in single precision, and its rate, which only the monitor's plan depends on."""
        chosen = Machine(self.group.device)

        def measure() -> dict[str, float]:
            self.task.before_step(0.0)
            self._set_training(True)
            shape = (TRIAL_PICTURES, 3, self.loader.size, self.loader.size)
            images = torch.zeros(shape, device=self.group.device)
            labels = self.loader.labels[:1].expand(TRIAL_PICTURES, *self.loader.labels.shape[1:])
            with torch.random.fork_rng(), gradients_of_pictures(self.modules.values()):
                for _ in range(2):  # the first also warms up
                    start = time.monotonic()
                    self._clipped_sum(images, labels)
            return {"rate": TRIAL_PICTURES / (time.monotonic() - start)}

        key = f"private {self._trial().key()}"
        return chosen, machine.cached_measurement(key, self.group.device, measure, {"rate"})["rate"] / self.copies

    def _train_step(self, pixels: Tensor, labels: Tensor, turns: Tensor) -> None:
        """One private step, on however many pictures were drawn."""
        step = self.seen_pictures // self.recipe.batch
        assert step < self.budget.steps
        seed_generators(self._randomness.seed(step), self.group.device)
        factor = self.recipe.lr_factor(self.progress)
        for group in self._parameter_groups():
            group["lr"] = group["peak_lr"] * factor
        self.task.before_step(self.recipe.schedule_progress(self.progress))
        pixels, labels, turns = (t.repeat_interleave(self.copies, 0) for t in (pixels, labels, turns))
        images = self.recipe.augment(pixels, turns) if len(pixels) else pixels
        player, totals, loss = self._clipped_sum(images, labels)
        parameters = self._parameters(player)
        noise = self._randomness.noise(step, sum(t.numel() for t in totals))
        deviation = self.budget.noise_multiplier * self.budget.clip
        set_noised(parameters, totals, noise, deviation, self.budget.sampling_rate * len(self.loader.images))
        for optimizer in self._optimizers[player]:
            optimizer.step()
        for p in parameters:
            p.grad = None
        self._losses.add(player, loss)
        self.seen_pictures += self.recipe.batch
        self._losses.steps += 1
        self._ema.update(self.recipe.batch, self.seen_pictures)

    def _clipped_sum(self, images: Tensor, labels: Tensor) -> tuple[str, list[Tensor], Tensor]:
        """The player, the sum of the pictures' clipped gradients for each of its parameters, and the mean loss."""
        player = next(iter(self.task.players()))
        parameters = self._parameters(player)
        totals, loss = [torch.zeros_like(p) for p in parameters], torch.zeros((), device=self.group.device)
        fitting = max(1, min(MAX_CHUNK, MAX_GRADIENTS // sum(p.numel() for p in parameters)) // self.copies)
        chunk = fitting * self.copies
        for start in range(0, len(images), chunk):
            part = images[start : start + chunk]
            for _, mean in self.task.losses(part, labels[start : start + chunk]):
                torch.autograd.backward(mean, inputs=parameters)
                add_clipped(totals, parameters, self.copies, self.budget.clip)
                loss = loss + mean.detach().float() * len(part) / len(images)
        return player, totals, loss

    def _parameters(self, player: str) -> list[nn.Parameter]:
        return list(self.task.players()[player])
