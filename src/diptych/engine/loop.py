"""The training loop that both panels share.

A model in training yields ``(player, loss)``; the loop takes one optimiser step for that player between yields, so
that a classifier, a VAE, a flow and a GAN are the same kind of thing. Every step's randomness is a function of
(seed, pictures seen, process) alone, so a killed run continues bit for bit with no generator state to keep.
"""

import hashlib
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.engine import checkpoint, machine
from diptych.engine.clock import Clock
from diptych.engine.distributed import ProcessGroup
from diptych.engine.ema import EMA
from diptych.engine.history import History
from diptych.engine.loader import Loader
from diptych.engine.plan import Plan
from diptych.engine.signals import Signals
from diptych.engine.task import Recipe, Task, Tick
from diptych.engine.trial import Trial, run_microbatches
from diptych.errors import Interrupted, TrainingError, UsageError
from diptych.progress import Bar

log = logging.getLogger("diptych")
TICKS = 20  # a run: enough for a curve, few enough that scoring costs little
CHECKPOINT_SHARE = 1 / 30  # of the time at most goes into writing checkpoints
CHECKPOINT_SECONDS = 1.0  # at least this long between two
REHEARSAL_MARGIN, WRITING_SECONDS = 1.1, 1.0  # see `Run.rehearsal`


class Run:
    """One training run; iterate over it to train.

    Inside the body of the ``for`` the task's modules are in evaluation mode, not compiled, and hold the averaged
    weights; after the last tick they stay so.

    Parameters
    ----------
    task
        The model in training; its modules are moved to the device.
    images
        Readable pictures to train on.
    size, geometry
        As in :meth:`Images.pixels`.
    folder
        Where checkpoints and history go; a run that was begun there is continued. ``None`` keeps nothing.
    settings
        The run's identity (JSON-able): a folder that holds a run with other settings is refused.
    started
        ``time.monotonic()`` at which the time budget began; ``None`` means now.

    Attributes
    ----------
    kept
        What the one who looks on remembers: tensors, numbers and text by name. It is in every checkpoint, so that a
        killed run goes on as if it had not been.
    rate
        Pictures a second, as the trial at the run's very beginning had it.

    Raises
    ------
    UsageError
        The recipe sets both or neither of ``pictures`` and ``minutes``, its batch cannot be divided among the
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
    ) -> None:
        self.task, self.recipe, self.folder = task, recipe, folder
        self.clock = Clock(recipe, time.monotonic() if started is None else started)
        self.group = ProcessGroup(machine.device())
        _check(recipe, self.group.world)
        if folder and self.group.leader:
            checkpoint.claim(folder, settings or {})
        self.group.wait()
        self.feed = Loader(images, size, geometry, recipe.batch, recipe.seed, self.group)
        self.modules = {name: module.to(self.group.device) for name, module in task.modules().items()}
        self._optimizers = {player: list(some) for player, some in task.optimizers().items()}
        for group in self._parameter_groups():
            group["peak_lr"] = group["lr"]
        self._average = EMA(self.modules.values(), recipe.half_life)
        self.seen_pictures = 0
        self.rehearsed = False  # whether what follows the training has been, see :meth:`rehearsal`
        self.kept: dict[str, Any] = {}
        self.rate = 0.0
        self._stopped = False
        self._ticks, self._steps = 0, 0  # ticks so far; steps since the last one
        self._totals: dict[str, Tensor] = {}  # losses since the last tick
        self._continued: tuple[machine.Machine, float] | None = None  # a continued run's machine and rate
        self._restore()
        self.history = History(folder if self.group.leader else None, self.seen_pictures)
        self.machine = self._begin()

    def __iter__(self) -> Iterator[Tick]:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=self._rng_devices()))
            stack.enter_context(self.machine.at_work())
            signals = stack.enter_context(Signals())
            bar = stack.enter_context(Bar("Training", round(self.clock.plan.end)))
            self._checkpoint_at, self._checkpoint_cost = time.monotonic(), 0.0
            batches = self.feed.batches(self.seen_pictures)
            while self._ticks < TICKS and not self._stopped:
                self._stretch(batches, signals, bar)
                tick = self._tick()
                with machine.without_compilation(self.task.compilable()):
                    self._set_training(False)
                    self._average.swap()
                    yield tick
                self.history.add(tick.record())
                self._ticks = max(self._ticks + 1, math.floor(self.progress * TICKS + 1e-9))
                self._totals, self._steps = {}, 0
                if not tick.done and not self._stopped:
                    self._average.swap()
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
    def rehearsal(self, left_out: float = 0.0) -> Iterator[None]:
        """Around a rehearsal of what follows the training: a time budget then keeps what that takes.

        What it takes differs by machine and by what else runs there, so that no constant will do.

        Parameters
        ----------
        left_out
            Seconds that it will take besides what is done here.
        """
        start = time.monotonic()
        yield
        rehearsed = time.monotonic() - start + left_out
        self.clock.reserve_seconds = REHEARSAL_MARGIN * rehearsed + WRITING_SECONDS
        self.rehearsed = True

    def stop(self) -> None:
        """End the run with the tick at which this is called (by all processes alike), as if it were the last."""
        self._stopped = True

    def _stretch(self, batches: Iterator[tuple[Tensor, Tensor, Tensor]], signals: Signals, bar: Bar) -> None:
        """Train until the next tick is due."""
        due = (self._ticks + 1) / TICKS
        self._set_training(True)
        while self.progress < due - 1e-9:
            self._step(*next(batches))
            bar.update(self.seen_pictures, round(self.clock.plan.end))
            self._look_up(signals)
        means = self._means()
        self._guard(means)
        bar.update(note=", ".join(f"{player} {value:.3f}" for player, value in means.items()))
        if self.progress >= 1:
            self._save()  # what follows may be long, and needs no step to be taken again

    def _tick(self) -> Tick:
        done = self.progress >= 1
        return Tick(self.seen_pictures, self.clock.seconds, self.progress, self._means(), done)

    def _step(self, pixels: Tensor, labels: Tensor, turns: Tensor) -> None:
        """One step of every player on one batch."""
        self._seed(_mixed(self.recipe.seed, self.seen_pictures, self.group.rank))
        progress = self.progress
        factor = self.recipe.schedule(progress)
        for group in self._parameter_groups():
            group["lr"] = group["peak_lr"] * factor
        self.task.before_step(progress)
        images = self.recipe.augment(pixels, turns)
        for player, loss in run_microbatches(self.task, self.recipe, self.machine, images, labels):
            self._move(player)
            self._totals[player] = self._totals.get(player, torch.zeros_like(loss)) + loss
        self.seen_pictures += self.recipe.batch
        self._steps += 1
        self.group.average(buffer for module in self.modules.values() for buffer in module.buffers())
        self._average.update(self.recipe.batch, self.seen_pictures)

    def _move(self, player: str) -> None:
        """Average the player's gradients over the processes, clip them, step, and clear them."""
        parameters = list(self.task.players()[player])
        self.group.average([p.grad for p in parameters if p.grad is not None])
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        for optimizer in self._optimizers[player]:
            optimizer.step()
        for p in parameters:
            p.grad = None

    def _look_up(self, signals: Signals) -> None:
        """Between two steps: plan anew, write a checkpoint, or stop, as the leader says."""
        wait = max(CHECKPOINT_SECONDS, self._checkpoint_cost / CHECKPOINT_SHARE)
        due = time.monotonic() - self._checkpoint_at > wait
        plan = self.clock.look(self.seen_pictures)
        stop, save, *laid_out = self.group.agree([signals.received, due, *plan.numbers()])
        self.clock.plan = Plan.of(laid_out)
        if stop or save:
            self._guard(self._means())
            self._save()
        if stop:
            where = f" The same command continues it from {self.folder}." if self.folder else ""
            raise Interrupted(f"Stopped after {self.seen_pictures} pictures.{where}", round(stop))

    def _means(self) -> dict[str, float]:
        """The mean loss of each player since the last tick, over all processes."""
        self.group.average(self._totals.values())
        return {player: float(total) / self._steps for player, total in self._totals.items()}

    def _guard(self, losses: Mapping[str, float]) -> None:
        """Stop a run whose loss is no longer a number; the last checkpoint is from before."""
        for player, value in losses.items():
            if not math.isfinite(value):
                kept = f" The last good checkpoint is kept in {self.folder}." if self.folder else ""
                raise TrainingError(
                    f"The {player} loss is no longer a number after {self.seen_pictures} pictures.{kept} "
                    "Start again in a new folder with a lower learning rate (--lr, a third of this one)."
                )

    def _save(self) -> None:
        start = time.monotonic()
        if self.group.leader and self.folder:
            checkpoint.save(self.folder, self._state(), self.seen_pictures)
        self.group.wait()
        self._checkpoint_at = time.monotonic()
        self._checkpoint_cost = self._checkpoint_at - start

    def _state(self) -> checkpoint.State:
        return {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": {p: [o.state_dict() for o in some] for p, some in self._optimizers.items()},
            "average": self._average.state(),
            "seen_pictures": self.seen_pictures,
            "seconds": self.clock.seconds,
            "plan": self.clock.plan.numbers(),
            "machine": [self.group.device.type, *self.machine.numbers()],
            "ticks": self._ticks,
            "steps": self._steps,
            "totals": self._totals,
            "kept": self.kept,
            "rate": self.rate,
        }

    def _restore(self) -> None:
        """Continue from the newest whole checkpoint, if there is one."""
        state = checkpoint.load(self.folder) if self.folder else None
        if state is None:
            return
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for player, some in self._optimizers.items():
            for optimizer, saved in zip(some, state["optimizers"][player], strict=True):
                optimizer.load_state_dict(saved)
        self._average.restore(state["average"])
        self.seen_pictures = state["seen_pictures"]
        self.clock.seconds_before = state["seconds"]
        self.clock.plan = Plan.of(state["plan"])
        self._ticks, self._steps = state["ticks"], state["steps"]
        self._totals = {p: total.to(self.group.device) for p, total in state["totals"].items()}
        self.kept, self.rate = state.get("kept", {}), state.get("rate", 0.0)
        kind, *numbers = state["machine"]
        if kind == self.group.device.type:
            rate = self.seen_pictures / max(state["seconds"], 1.0)
            self._continued = machine.Machine.of(self.group.device, numbers), rate
        log.info("Continuing after %d pictures.", self.seen_pictures)

    def _begin(self) -> machine.Machine:
        """Settle the machine, lay the run out in time, and make all processes start alike."""
        chosen, rate = self._continued or self._chosen()
        *numbers, rate = self.group.agree([*chosen.numbers(), rate])
        self.rate = self.rate or rate
        chosen = machine.Machine.of(self.group.device, numbers)
        if chosen.compile:
            with torch.random.fork_rng(devices=self._rng_devices()):
                self._trial().compile(chosen)
        chosen.prepare(self.modules.values(), self.task.compilable())
        self._average.align()
        every = [t for m in self.modules.values() for t in (*m.parameters(), *m.buffers())]
        self.group.average([t.data for t in every])
        self.clock.lay_out(rate, self.seen_pictures)
        self.clock.plan = Plan.of(self.group.agree(self.clock.plan.numbers()))
        return chosen

    def _chosen(self) -> tuple[machine.Machine, float]:
        """The machine that a trial finds fastest, and the rate of all processes together."""
        world = self.group.world
        trial = self._trial()
        with torch.random.fork_rng(devices=self._rng_devices()):
            chosen, rate = machine.choose(
                trial,
                trial.pictures,
                trial.key(),
                self.group.device,
                lambda rate: self.clock.expected(rate * world),
                compilable=bool(self.task.compilable()),
            )
        return chosen, rate * world

    def _trial(self) -> Trial:
        return Trial(self.task, self.modules, self.recipe, self.feed)

    def _parameter_groups(self) -> Iterator[dict[str, Any]]:
        for some in self._optimizers.values():
            for optimizer in some:
                yield from optimizer.param_groups

    def _seed(self, seed: int) -> None:
        # Not torch.manual_seed, which asks after every kind of device: over a millisecond a step.
        torch.default_generator.manual_seed(seed)
        if self.group.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.group.device.type == "mps":
            torch.mps.manual_seed(seed)

    def _set_training(self, training: bool) -> None:
        for module in self.modules.values():
            module.train(training)

    def _rng_devices(self) -> list[int]:
        device = self.group.device
        return [device.index] if device.type == "cuda" else []


def _check(recipe: Recipe, world: int) -> None:
    if (recipe.pictures is None) == (recipe.minutes is None):
        raise UsageError("Set either the length of the run (epochs) or its time budget (minutes).")
    parts = world * recipe.accumulate
    if recipe.batch % parts:
        raise UsageError(
            f"A batch of {recipe.batch} cannot be divided into {parts} equal parts ({world} processes, "
            f"{recipe.accumulate} microbatches). Set the batch to a multiple of {parts}."
        )


def _mixed(seed: int, seen_pictures: int, rank: int) -> int:
    """A seed that shares nothing with its neighbours' (consecutive seeds would give related streams)."""
    digest = hashlib.blake2b(f"{seed} {seen_pictures} {rank}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")
