"""What the loop trains (``Task``), how (``Recipe``), and what it shows on the way (``Tick``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.engine.optim import Optimizer
from diptych.engine.schedule import Schedule, cosine


class Task(Protocol):
    """A model in training. It keeps no state between steps outside ``modules`` and ``optimizers``."""

    def modules(self) -> Mapping[str, nn.Module]:
        """The modules by name: what is saved, averaged and restored."""

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
        """Set whatever follows the run's progress (0..1): KL weight, penalty strength, what is frozen."""


@dataclass(frozen=True)
class Recipe:
    """How a task is trained.

    Exactly one of ``pictures`` (the run's length, in pictures shown) and ``minutes`` (its time budget, counted from
    the start of ``fit``) is set.

    Attributes
    ----------
    batch
        Pictures a step, all processes together.
    schedule
        Progress to learning-rate factor.
    half_life
        Of the weights' average, in pictures; ``None`` averages nothing.
    clip
        Largest norm of a player's gradient; ``None`` clips nothing.
    accumulate
        Microbatches a step, for batches that do not fit on the device.
    reserve_seconds
        Kept from the time budget for what comes after training (half the budget at most).
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


@dataclass
class Tick:
    """A moment at which a run may be looked at; what the body puts into ``scores`` goes into the history."""

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
