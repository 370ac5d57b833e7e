"""How a synthesizer is trained: what is chosen from the data, the picture size and the machine before it begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from diptych.data.transforms import Augment
from diptych.engine.privacy.budget import Budget
from diptych.engine.schedule import Schedule, cosine
from diptych.engine.task import Recipe

DEFAULT_EPOCHS, DEFAULT_MINUTES = 40, 10.0
MIN_SHOWN, MAX_SHOWN = 30_000, 1_000_000  # pictures, where neither minutes nor epochs are set
RESERVE_SECONDS = 10.0  # kept from a time budget for what follows training, until a rehearsal has measured it
PRIVATE_STEPS, PRIVATE_SHARE, MAX_PRIVATE_BATCH = 150, 0.25, 2048  # share of the pictures in a step
PRIVATE_COPIES = 2  # of each picture in a private step, with noise and times of their own
PRIVATE_CLIP = 1.0
MAX_HALF_LIFE = 500_000  # of the weights' average, in pictures; the engine shortens it on short runs


@dataclass(frozen=True)
class TrainingConfig:
    """A network's layout and how it is trained.

    Attributes
    ----------
    layout
        JSON-able; together with the weights it is the model.
    batch, lr, schedule
        Pictures a step, peak learning rate, and its schedule.
    clip
        Largest norm of a player's gradient.
    crop
        Smallest share of a picture's area that training shows.
    method_settings
        Settings that only this method has; JSON-able.
    """

    layout: Mapping[str, Any]
    batch: int
    lr: float
    schedule: Schedule = field(default_factory=lambda: cosine(warmup=0.03))
    clip: float | None = None
    crop: float = 1.0
    method_settings: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """The configuration for the report and the run's identity; JSON-able."""
        common = {"batch": self.batch, "learning_rate": self.lr, "crop": self.crop}
        return {"layout": dict(self.layout), **common, **self.method_settings}


def length_and_privacy(
    parameters: Mapping[str, Any], pictures: int, size: int, batch: int
) -> tuple[dict[str, Any], Budget | None]:
    """The run's length as a recipe takes it, and the budget of a private one, whose steps are fixed first."""
    epsilon, epochs = parameters["epsilon"], parameters["epochs"]
    if epsilon is None:
        return training_length(parameters["minutes"], epochs, pictures, size), None
    steps = PRIVATE_STEPS if epochs is None else max(1, round(epochs * pictures / batch))
    budget = Budget.plan(epsilon, parameters["delta"], pictures=pictures, batch=batch, steps=steps, clip=PRIVATE_CLIP)
    return {"pictures": steps * batch}, budget


def private_batch(pictures: int) -> int:
    """The pictures that are drawn for a private step, on average: large batches drown the noise."""
    return min(MAX_PRIVATE_BATCH, max(1, round(PRIVATE_SHARE * pictures)))


def compilable_modules(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Those of the modules that run on a GPU.

    On a processor, compiling a U-Net and its gradients can take minutes out of a budget of ten.
    """
    return [module for module in modules if next(module.parameters()).device.type == "cuda"]


def training_length(minutes: float | None, epochs: float | None, pictures: int, size: int) -> dict[str, Any]:
    """The run's length as a recipe takes it: ``{"minutes": …}`` or ``{"pictures": …}``."""
    if minutes is not None:
        return {"minutes": float(minutes)}
    if epochs is not None:
        return {"pictures": max(1, round(epochs * pictures))}
    if size <= 16:
        return {"pictures": min(max(DEFAULT_EPOCHS * pictures, MIN_SHOWN), MAX_SHOWN)}
    return {"minutes": DEFAULT_MINUTES}


def make_recipe(config: TrainingConfig, length: Mapping[str, Any], mirrored: bool, seed: int) -> Recipe:
    """The engine's recipe for this configuration."""
    return Recipe(
        batch=config.batch,
        schedule=config.schedule,
        augment=Augment(flip="random" if mirrored else "none", crop=config.crop),
        half_life=MAX_HALF_LIFE,
        clip=config.clip,
        seed=seed,
        reserve_seconds=RESERVE_SECONDS,
        **length,
    )
