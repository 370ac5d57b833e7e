"""What the loop trains (``Task``), how (``Recipe``), and what it yields on the way (``Tick``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.engine.optim import Optimizer
from diptych.engine.schedule import Schedule, cosine
from diptych.errors import UsageError

RESTART_WARMUP = 0.03  # of a run that continues earlier ones, in which the learning rate rises


class Task(Protocol):
    """A model in training. It has no state between steps outside ``modules`` and ``optimizers``."""

    def modules(self) -> Mapping[str, nn.Module]:
        """The modules by name: these are saved, averaged and restored."""

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        """The trainable parameters of each player."""

    def optimizers(self) -> Mapping[str, Sequence[Optimizer]]:
        """The optimisers of each player; each group's ``lr`` is its peak, which the schedule multiplies."""

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (player, loss); between two yields that player takes a step.

        ``images`` is (B, 3, size, size) float32 in [-1, 1], augmented; ``labels`` is (B,) int64 or (B, K) float32.
        """

    def compilable(self) -> list[nn.Module]:
        """Modules that ``torch.compile`` may take (none where a loss needs second derivatives)."""

    def before_step(self, progress: float) -> None:
        """Set whatever depends on the run's progress (0..1): KL weight, penalty strength, frozen parts."""


@dataclass(frozen=True)
class Recipe:
    """How a task is trained.

    ``pictures`` (the run's length, in pictures shown), ``minutes`` (its time budget, from the start of ``fit`` or of
    its command) or both are set; of both, the one that ends first counts.

    Attributes
    ----------
    batch
        Pictures per step, all processes together.
    schedule
        From progress to the learning-rate factor.
    half_life
        Half-life of the weights' moving average, in pictures; ``None``: no average.
    clip
        Largest norm of a player's gradient; ``None``: no clipping.
    accumulate
        Microbatches per step, for batches that do not fit on the device.
    reserve_seconds
        Reserved from the time budget for what follows training (half the budget at most).
    schedule_start
        The share of a longer run, 0..1, that earlier runs have done: this one is the rest of it, and begins with a
        short warm-up, since its optimisers begin without state. 0: a run of its own.
    """

    batch: int
    pictures: int | None = None
    minutes: float | None = None
    schedule: Schedule = field(default_factory=cosine)
    augment: Augment = field(default_factory=Augment)
    half_life: int | None = None
    clip: float | None = None
    accumulate: int = 1
    seed: int = 0
    reserve_seconds: float = 0.0
    schedule_start: float = 0.0

    def schedule_progress(self, progress: float) -> float:
        """The progress of the longer run at this one's ``progress``; what the task and the schedule go by."""
        return self.schedule_start + (1 - self.schedule_start) * progress

    def lr_factor(self, progress: float) -> float:
        """What the peak learning rates are multiplied by at this run's ``progress``."""
        warmup = min(1.0, progress / RESTART_WARMUP) if self.schedule_start else 1.0
        return warmup * self.schedule(self.schedule_progress(progress))

    def check(self, world_size: int) -> None:
        """Refuse a recipe that cannot be run by so many processes.

        Raises
        ------
        UsageError
            Neither ``pictures`` nor ``minutes`` is set, or the batch cannot be divided evenly.
        """
        if self.pictures is None and self.minutes is None:
            raise UsageError("Set the length of the run (epochs) or its time budget (minutes).")
        parts = world_size * self.accumulate
        if self.batch % parts:
            raise UsageError(
                f"A batch of {self.batch} cannot be divided into {parts} equal parts ({world_size} processes, "
                f"{self.accumulate} microbatches). Set the batch to a multiple of {parts}."
            )


@dataclass
class Tick:
    """A pause of the run for evaluation; what the loop's body puts into ``scores`` is written to the history."""

    seen_pictures: int
    seconds: float
    progress: float
    losses: dict[str, float]
    done: bool
    scores: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """The line of ``history.jsonl``."""
        return {
            "seen_pictures": self.seen_pictures,
            "seconds": round(self.seconds, 3),
            "progress": self.progress,
            "losses": self.losses,
            "scores": self.scores,
        }
