"""The training loop that both panels share.

A task yields ``(player, loss)``; between two yields the loop takes one optimiser step for that player, so that a
classifier, a VAE, a flow and a GAN all train by the same loop. Every step's randomness is a function of (seed,
pictures seen) alone, so a killed run continues bit for bit and no generator state is saved.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.engine import checkpoint, machine
from diptych.engine.clock import Clock, Plan
from diptych.engine.distributed import ProcessGroup
from diptych.engine.ema import EMA
from diptych.engine.history import History
from diptych.engine.loader import Loader
from diptych.engine.loss_meter import LossMeter, check_finite
from diptych.engine.machine_trial import Trial, run_microbatches
from diptych.engine.processes.agreement import agree
from diptych.engine.processes.gradient_buckets import GradientBuckets
from diptych.engine.processes.shared_step import shared_step
from diptych.engine.randomness import rng_devices, seed_generators, step_seed
from diptych.engine.stopping.signals import Signals
from diptych.engine.task import Recipe, Task, Tick
from diptych.errors import ArtefactError, Interrupted
from diptych.progress import Bar

log = logging.getLogger("diptych")
TICKS = 20  # per run: enough for a curve, few enough that evaluating at each costs little
MAX_CHECKPOINT_SHARE = 1 / 30  # of the time, spent on writing checkpoints
MIN_CHECKPOINT_SECONDS = 1.0  # between two checkpoints
REHEARSAL_MARGIN, WRITING_SECONDS = 1.1, 1.0  # see `Run.rehearsal`


class Run:
    """One training run; iterate over it to train.

    Inside the body of the ``for`` the task's modules are in evaluation mode, not compiled, and hold the averaged
    weights (EMA); after the last tick they stay so, and after an :class:`~diptych.errors.Interrupted` too.

    Parameters
    ----------
    task
        The model in training; its modules are moved to the device.
    images
        Readable pictures to train on.
    size, geometry
        As in :meth:`Images.pixels`.
    folder
        Where checkpoints and history are written; a run begun there is resumed. ``None``: nothing is written.
    settings
        The run's identity (JSON-able): a folder that holds a run with other settings is refused.
    started
        ``time.monotonic()`` at which the time budget began; ``None``: now.
    cells
        (N,) the cell of each picture, such as its class and group: each is shown equally often. ``None``: each picture
        is.

    Attributes
    ----------
    extra_state
        State of whoever iterates over the run: tensors, numbers and text by name. It is part of every checkpoint, so
        that a killed run resumes as if it had not been killed.
    rate
        Pictures a second, as the trial at the very start of the run measured it.
    rehearsed
        Whether :meth:`rehearsal` has measured what follows the training.

    Raises
    ------
    UsageError
        The recipe sets neither ``pictures`` nor ``minutes``, its batch cannot be divided among the
        processes and microbatches, or the folder holds another run.
    """

    def __init__(
        self,
        task: Task,
        images: Images,
        *,
        size: int,
        recipe: Recipe,
        geometry: Geometry = "squash",
        folder: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        started: float | None = None,
        cells: NDArray[np.int64] | None = None,
    ) -> None:
        self.task, self.recipe, self.folder = task, recipe, folder
        self.clock = Clock(recipe, time.monotonic() if started is None else started)
        self.group = ProcessGroup(machine.device())
        recipe.check(self.group.world_size)
        if folder and self.group.leader:
            checkpoint.claim(folder, settings or {})
        self.group.barrier()
        self.loader = Loader(images, size, geometry, recipe.batch, recipe.seed, self.group, cells)
        self.modules = {name: module.to(self.group.device) for name, module in task.modules().items()}
        self._optimizers = {player: list(optimizers) for player, optimizers in task.optimizers().items()}
        for group in self._parameter_groups():
            group["peak_lr"] = group["lr"]
        self._ema = EMA(self.modules.values(), recipe.half_life)
        self._losses = LossMeter(self.group)
        self._gradients = GradientBuckets(self.group, recipe.accumulate)
        self.seen_pictures = 0
        self.rehearsed = False
        self.extra_state: dict[str, Any] = {}
        self.rate, self._stopped, self._ticks = 0.0, False, 0
        self._resumed_machine: tuple[machine.Machine, float] | None = None  # with its rate
        self._resume()
        agree(self.group, {**(settings or {}), "pictures seen": self.seen_pictures})
        self.history = History(folder if self.group.leader else None, self.seen_pictures)
        self.machine = self._prepare_machine()

    def __iter__(self) -> Iterator[Tick]:
        with Signals() as signals:
            yield from self._ticks_until_stopped(signals)
            if stop := self.group.broadcast([signals.received])[0]:  # since the last step
                raise self._interrupted(stop)

    def _ticks_until_stopped(self, signals: Signals) -> Iterator[Tick]:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=rng_devices(self.group.device)))
            stack.enter_context(self.machine.active())
            bar = stack.enter_context(Bar("Training", round(self.clock.plan.end)))
            bar.skip(self.seen_pictures)
            self._checkpoint_at, self._checkpoint_seconds = time.monotonic(), 0.0
            batches = self.loader.batches(self.seen_pictures)
            while self._ticks < TICKS and not self._stopped:
                self._train_to_next_tick(batches, signals, bar)
                tick = self.tick()
                with machine.without_compilation(self.task.compilable()):
                    self._set_training(False)
                    self._ema.swap()
                    yield tick
                self.history.add(tick.record())
                self._ticks = max(self._ticks + 1, math.floor(self.progress * TICKS + 1e-9))
                self._losses.reset()
                if not tick.done and not self._stopped:
                    self._ema.swap()
                    self._set_training(True)

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0..1."""
        return self.clock.plan.at(self.seen_pictures)

    @property
    def leader(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.group.leader

    @contextmanager
    def rehearsal(self) -> Iterator[list[float]]:
        """Time, within the block, a rehearsal of what follows the training; a time budget then reserves that long.

        It is measured because it differs by machine and by what else runs there: no constant fits. Seconds that are
        added to the list are reserved, too, for what will follow besides the rehearsed part.
        """
        start, besides = time.monotonic(), list[float]()
        yield besides
        seconds = time.monotonic() - start + sum(besides)
        self.clock.reserve_seconds = REHEARSAL_MARGIN * seconds + WRITING_SECONDS
        self.rehearsed = True

    def tick(self) -> Tick:
        """The moment that the run has reached."""
        done = self.progress >= 1
        return Tick(self.seen_pictures, self.clock.seconds, self.progress, self._losses.means(), done)

    def stop(self) -> None:
        """End the run at the current tick, as if it were the last; all processes must call it alike."""
        self._stopped = True

    def _train_to_next_tick(self, batches: Iterator[tuple[Tensor, Tensor, Tensor]], signals: Signals, bar: Bar) -> None:
        due = (self._ticks + 1) / TICKS
        self._set_training(True)
        while self.progress < due - 1e-9:
            self._train_step(*next(batches))
            bar.update(self.seen_pictures, round(self.clock.plan.end))
            self._check_clock_and_signals(signals)
        means = self._losses.means()
        check_finite(means, self.seen_pictures, self.folder)
        bar.update(note=", ".join(f"{player} {value:.3f}" for player, value in means.items()))
        if self.progress >= 1:
            self._save_checkpoint()  # what follows may take long; after a kill there, no step is repeated

    def _train_step(self, pixels: Tensor, labels: Tensor, turns: Tensor) -> None:
        """One step of every player on one batch."""
        seed_generators(step_seed(self.recipe.seed, self.seen_pictures), self.group.device)
        factor = self.recipe.lr_factor(self.progress)
        for group in self._parameter_groups():
            group["lr"] = group["peak_lr"] * factor
        self.task.before_step(self.recipe.schedule_progress(self.progress))
        self._gradients.expect(self.task.players().values())
        with shared_step(self.group, len(pixels) // self.recipe.accumulate):
            images = self.recipe.augment(pixels, turns)
            for player, loss in run_microbatches(self.task, self.recipe, self.machine, images, labels):
                self._optimizer_step(player)
                self._losses.add(player, loss)
        self.seen_pictures += self.recipe.batch
        self._losses.steps += 1
        self.group.average(buffer for module in self.modules.values() for buffer in module.buffers())
        self._ema.update(self.recipe.batch, self.seen_pictures)

    def _optimizer_step(self, player: str) -> None:
        """Average the player's gradients over the processes, clip them, step, and clear them."""
        parameters = list(self.task.players()[player])
        self._gradients.average(parameters)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        for optimizer in self._optimizers[player]:
            optimizer.step()
        for p in parameters:
            p.grad = None

    def _check_clock_and_signals(self, signals: Signals) -> None:
        """Between two steps: replan, write a checkpoint, or stop, as the leader decides."""
        wait = max(MIN_CHECKPOINT_SECONDS, self._checkpoint_seconds / MAX_CHECKPOINT_SHARE)
        due = time.monotonic() - self._checkpoint_at > wait
        plan = self.clock.replan(self.seen_pictures)
        stop, save, *numbers = self.group.broadcast([signals.received, due, *plan.numbers()])
        self.clock.plan = Plan.from_numbers(numbers)
        if stop or save:
            check_finite(self._losses.means(), self.seen_pictures, self.folder)
            self._save_checkpoint()
        if stop:
            self._set_training(False)
            self._ema.swap()
            raise self._interrupted(stop)

    def _interrupted(self, signal_number: float) -> Interrupted:
        where = f"The same command continues it from {self.folder}." if self.folder else ""
        return Interrupted(f"Stopped after {counted(self.seen_pictures, 'picture')}.", round(signal_number), where)

    def _save_checkpoint(self) -> None:
        start = time.monotonic()
        if self.group.leader and self.folder:
            checkpoint.save(self.folder, self._state(), self.seen_pictures)
        self.group.barrier()
        self._checkpoint_at = time.monotonic()
        self._checkpoint_seconds = self._checkpoint_at - start

    def _state(self) -> checkpoint.State:
        """All that a resumed run depends on."""
        return {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": {player: [o.state_dict() for o in group] for player, group in self._optimizers.items()},
            "average": self._ema.state(),
            "seen_pictures": self.seen_pictures,
            "seconds": self.clock.seconds,
            "plan": self.clock.plan.numbers(),
            "machine": [self.group.device.type, *self.machine.numbers()],
            "ticks": self._ticks,
            "steps": self._losses.steps,
            "totals": self._losses.totals,
            "kept": self.extra_state,
            "rate": self.rate,
        }

    def _resume(self) -> None:
        """Continue from the newest intact checkpoint, if there is one."""
        state = checkpoint.load(self.folder) if self.folder else None
        if state is not None:
            try:
                self._take(state)
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise ArtefactError(
                    f"The checkpoint in {self.folder} is not one of this run ({type(error).__name__}: "
                    f"{str(error).split(chr(10))[0]}). Delete {self.folder} to begin the run again."
                ) from error

    def _take(self, state: checkpoint.State) -> None:
        """Go on from the state of a checkpoint."""
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for player, optimizers in self._optimizers.items():
            for optimizer, saved in zip(optimizers, state["optimizers"][player], strict=True):
                optimizer.load_state_dict(saved)
        self._ema.restore(state["average"])
        self.seen_pictures = state["seen_pictures"]
        self.clock.seconds_before = state["seconds"]
        self.clock.plan = Plan.from_numbers(state["plan"])
        self._ticks = state["ticks"]
        self._losses.restore(state["totals"], state["steps"])
        self.extra_state, self.rate = state.get("kept", {}), state.get("rate", 0.0)
        device_type, *numbers = state["machine"]
        if device_type == self.group.device.type:
            rate = self.seen_pictures / max(state["seconds"], 1.0)
            self._resumed_machine = machine.Machine.from_numbers(self.group.device, numbers), rate
        log.info("Continuing after %s.", counted(self.seen_pictures, "picture"))

    def _prepare_machine(self) -> machine.Machine:
        """Choose the machine, plan the run from its rate, and give all processes the same weights and plan."""
        chosen, rate = self._resumed_machine or self._choose_machine()
        *numbers, rate = self.group.broadcast([*chosen.numbers(), rate])
        self.rate = self.rate or rate
        chosen = machine.Machine.from_numbers(self.group.device, numbers)
        if chosen.compile:
            with torch.random.fork_rng(devices=rng_devices(self.group.device)):
                self._trial().compile(chosen)
        chosen.prepare(self.modules.values(), self.task.compilable())
        self._ema.align()
        self.group.average(t.data for m in self.modules.values() for t in (*m.parameters(), *m.buffers()))
        self.clock.start(rate, self.seen_pictures)
        self.clock.plan = Plan.from_numbers(self.group.broadcast(self.clock.plan.numbers()))
        return chosen

    def _choose_machine(self) -> tuple[machine.Machine, float]:
        """The machine that a trial finds fastest, and the rate of all processes together."""
        world_size = self.group.world_size
        trial = self._trial()
        with torch.random.fork_rng(devices=rng_devices(self.group.device)):
            chosen, rate = machine.choose(
                trial,
                trial.pictures,
                trial.key(),
                self.group.device,
                lambda rate: self.clock.expected_seconds(rate * world_size),
                compilable=bool(self.task.compilable()),
            )
        return chosen, rate * world_size

    def _trial(self) -> Trial:
        return Trial(self.task, self.modules, self.recipe, self.loader)

    def _parameter_groups(self) -> Iterator[dict[str, Any]]:
        for optimizers in self._optimizers.values():
            for optimizer in optimizers:
                yield from optimizer.param_groups

    def _set_training(self, training: bool) -> None:
        for module in self.modules.values():
            module.train(training)
