"""What every network of the recognizer offers, and the recipe that trains it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.recognition.networks.tta import TTA

LONG = 30  # epochs, from which on a picture is seen often enough to be known by heart
PHOTOGRAPH = 48  # px: from here on, training shows cut-outs of a picture and not only shifts


@dataclass(frozen=True)
class TrainingRecipe:
    """How a family of networks is best trained: facts found by trial, kept beside the network they fit.

    Attributes
    ----------
    optimizer
        "adamw", "sgd" or "muon".
    lr
        Learning rate at the peak of the schedule, in a run of up to ``short`` steps; in a longer one see :meth:`peak`.
    head_factor, bias_factor
        The rates of the head, and beside Muon of biases, as multiples of ``lr``.
    layer_decay
        The rate of each layer as a multiple of that of the layer after it: the first layers move the least.
    warmup
        Share of the run in which the learning rate rises to its peak; it then falls to 0 linearly.
    shown
        Pictures shown in a run where neither epochs nor minutes are set, within ``epochs`` (least, most).
    augment, augment_long
        The augmentation at a picture size, in pixels; the second in runs of ``LONG`` epochs or more, if it is another.
    half_life_epochs
        Of the average over the weights, in epochs; the engine shortens it early in a run.
    gpu_batch
        Pictures a step on a GPU, where a step of few pictures takes as long as one of many; ``None``: as elsewhere.
    parts
        How many parts a batch is worked on in, one after the other, so that a large network fits into the memory.
    proxy
        The small network that is trained along and tells which half of a batch is the harder one, of which alone this
        one learns; ``None``: it learns from all of it.
    """

    batch: int
    optimizer: str
    lr: float
    decay: float
    shown: int
    epochs: tuple[int, int]
    augment: Callable[[int], Augment] = field(repr=False)
    warmup: float = 0.2
    label_smoothing: float = 0.1
    head_factor: float = 1.0
    bias_factor: float = 1.0
    layer_decay: float = 1.0
    half_life_epochs: float = 1.0
    gpu_batch: int | None = None
    parts: int = 1
    proxy: str | None = None
    short: float = math.inf
    augment_long: Callable[[int], Augment] | None = field(default=None, repr=False)

    def augmentation(self, size: int, epochs: float) -> Augment:
        """How pictures of a size are varied in a run of so many epochs."""
        return (self.augment_long if self.augment_long and epochs >= LONG else self.augment)(size)

    def peak(self, steps: float) -> float:
        """The learning rate for a run of so many steps: in more steps the same way is gone in smaller ones.

        It falls with their square root: the way that chance leads falls, too, but more slowly than a step.
        """
        return self.lr * min(1.0, math.sqrt(self.short / steps))

    def default_epochs(self, pictures: int) -> int:
        """Epochs for a training set of so many pictures."""
        least, most = self.epochs
        return min(most, max(least, round(self.shown / pictures)))

    def default_batch(self, pictures: int, *, gpu: bool = False) -> int:
        """Pictures a step: fewer on a small set, so that an epoch has eight steps or more."""
        fitting = 1 << max(3, (pictures // 8).bit_length() - 1)  # a power of two, 8 or more
        return min(self.gpu_batch or self.batch if gpu else self.batch, fitting)


class Network(nn.Module, ABC):
    """Features, then a linear head: pictures (B, 3, S, S) float in [-1, 1] -> logits (B, classes).

    Attributes
    ----------
    gain
        What the head multiplies its linear map by.
    offset
        (classes,) added to the logits for good, see :mod:`diptych.recognition.training.imbalance`; ``None``: nothing.
    views
        Test-time augmentation of uncertain pictures, see :mod:`diptych.recognition.networks.tta`; ``None``: none.
    """

    head: nn.Module
    gain: float = 1.0
    offset: Tensor | None
    tta: TTA | None = None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", None)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """What the network sees in the pictures, (B, D): the layer before the head."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        return self.logits_and_features(images)[0]

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features in one pass."""
        seen = self.features(images)
        return self.shifted(self.head(seen)), seen

    def shifted(self, logits: Tensor) -> Tensor:
        """Logits with the offset added."""
        return logits if self.offset is None else logits + self.offset

    @torch.no_grad()
    def set_head(self, weight: Tensor, bias: Tensor) -> None:
        """Answer ``features · weightᵀ + bias`` from now on; weight (classes, D), bias (classes,)."""
        assert isinstance(self.head, nn.Linear)
        self.head.weight.copy_(weight / self.gain)
        if self.head.bias is None:
            self.offset = bias.to(self.head.weight.device)
        else:
            self.head.bias.copy_(bias / self.gain)

    def layers(self) -> list[list[nn.Parameter]]:
        """The trainable parameters before the head, in groups from the first layer to the last."""
        of_head = {id(p) for p in self.head.parameters()}
        return [[p for p in self.parameters() if p.requires_grad and id(p) not in of_head]]

    def adapt(self, images: Tensor) -> None:
        """Look at some training pictures, (B, 3, S, S) in [-1, 1], once before the first step."""

    def before_step(self, progress: float) -> None:
        """Follow the run's progress, 0..1."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        held = state_dict.get(f"{prefix}offset")
        if held is not None:  # a place for it, which a network without an offset has not
            self.offset = torch.zeros_like(held)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def augmentation(size: int) -> Augment:
    """What suits most sets: mirrored, and shifted if small or cut out and coloured anew if photographs."""
    if size < PHOTOGRAPH:
        return Augment(flip="alternating", shift=max(1, size // 16))
    return Augment(flip="random", crop=0.35, colour=0.4)
