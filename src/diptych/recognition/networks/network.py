"""The base class of all recognition networks, and the recipe that a family is trained by."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.recognition.networks.neighbours import NeighboursHead
from diptych.recognition.networks.tta import TTA

LONG_RUN_EPOCHS = 30  # from which on the network can memorise its training pictures
PHOTOGRAPH = 48  # px: from here on, augmentation crops pictures instead of only shifting them


@dataclass(frozen=True)
class TrainingRecipe:
    """How a family of networks is best trained: found by trial, stored beside the network.

    Attributes
    ----------
    optimizer
        "adamw", "sgd" or "muon".
    batch
        Pictures a step.
    lr, short_steps
        Peak learning rate of a run of up to ``short_steps`` steps; for longer runs see :meth:`peak_lr`.
    decay
        Weight decay.
    head_factor, bias_factor
        Learning rate of the head, and with Muon of the biases, as multiples of ``lr``.
    layer_decay
        Learning rate of each layer as a multiple of that of the layer after it: the first layers change the least.
    warmup
        Share of the run in which the learning rate rises to its peak; it then falls linearly to 0.
    pictures_shown, epochs
        Length of a run where neither epochs nor minutes are set, in pictures, within ``epochs`` (minimum, maximum).
    augment, augment_long
        The augmentation for a picture size in px; the second in runs of ``LONG_RUN_EPOCHS`` or more (``None``: same).
    half_life_epochs
        Half-life of the exponential moving average of the weights, in epochs; the engine shortens it early in a run.
    gpu_batch
        Pictures a step on a GPU, where small batches take as long as large ones; ``None``: ``batch``.
    microbatches
        Parts that a batch is processed in one after the other, so that a large network fits into memory.
    proxy
        Name of a small network that is trained alongside and selects the harder half of each batch, which alone this
        network learns from; ``None``: it learns from the whole batch.
    """

    batch: int
    optimizer: str
    lr: float
    decay: float
    pictures_shown: int
    epochs: tuple[int, int]
    augment: Callable[[int], Augment] = field(repr=False)
    warmup: float = 0.2
    label_smoothing: float = 0.1
    head_factor: float = 1.0
    bias_factor: float = 1.0
    layer_decay: float = 1.0
    half_life_epochs: float = 1.0
    gpu_batch: int | None = None
    microbatches: int = 1
    proxy: str | None = None
    short_steps: float = math.inf
    augment_long: Callable[[int], Augment] | None = field(default=None, repr=False)

    def augmentation(self, size: int, epochs: float) -> Augment:
        """The augmentation for pictures of ``size`` px in a run of ``epochs`` epochs."""
        return (self.augment_long if self.augment_long and epochs >= LONG_RUN_EPOCHS else self.augment)(size)

    def peak_lr(self, steps: float) -> float:
        """The peak learning rate of a run of ``steps`` steps: a longer run takes smaller steps.

        Beyond ``short_steps`` it falls with the square root of the number of steps: a random walk of smaller steps
        gets less far as well, but shrinks more slowly than the steps do.
        """
        return self.lr * min(1.0, math.sqrt(self.short_steps / steps))

    def default_epochs(self, pictures: int) -> int:
        """Epochs for a training set of ``pictures`` pictures."""
        minimum, maximum = self.epochs
        return min(maximum, max(minimum, round(self.pictures_shown / pictures)))

    def default_batch(self, pictures: int, *, gpu: bool = False) -> int:
        """Pictures a step: fewer for a small training set, so that an epoch has eight steps or more."""
        fitting = 1 << max(3, (pictures // 8).bit_length() - 1)  # a power of two, 8 or more
        return min(self.gpu_batch or self.batch if gpu else self.batch, fitting)


class Network(nn.Module, ABC):
    """Features, then a head: pictures (B, 3, S, S) float in [-1, 1] -> logits (B, classes).

    Attributes
    ----------
    head
        Features (B, D) -> logits (B, classes).
    pretrained
        Whether the layers before the head come with pretrained weights.
    thread_safe
        Whether several threads may run the network at the same time, and a copy of it may run on a fast backend.
    gain
        Factor that the head scales its linear map by.
    offset
        (classes,) added to the logits, see :mod:`diptych.recognition.training.imbalance`; ``None``: nothing.
    tta
        Test-time augmentation of uncertain pictures, see :mod:`diptych.recognition.networks.tta`; ``None``: none.
    """

    head: nn.Module
    pretrained: bool = False
    thread_safe: bool = True
    gain: float = 1.0
    offset: Tensor | None
    tta: TTA | None = None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", None)

    @property
    def backbone_facts(self) -> Mapping[str, Any] | None:
        """What rebuilds a pretrained backbone besides its weights, as JSON can hold it; ``None``: nothing needed."""
        return None

    @property
    def output_layer(self) -> nn.Module | None:
        """The layer with a row of weights for each class; ``None`` if there is none."""
        return self.head

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """The outputs of the layer before the head, (B, D)."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        return self.logits_and_features(images)[0]

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features in one pass."""
        features = self.features(images)
        return self.logits_of(features), features

    def logits_of(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, D)."""
        return self.shifted(self.head(self.head_input(features)))

    def head_input(self, features: Tensor) -> Tensor:
        """What the head takes, (B, D): the features, unless a network scales them."""
        return features

    def shifted(self, logits: Tensor) -> Tensor:
        """Logits with the offset added."""
        return logits if self.offset is None else logits + self.offset

    @torch.no_grad()
    def set_head(self, weight: Tensor, bias: Tensor) -> None:
        """Set the logits to ``head_input · weightᵀ + bias``; weight (classes, D), bias (classes,)."""
        assert isinstance(self.head, nn.Linear)
        self.head.weight.copy_(weight / self.gain)
        if self.head.bias is None:
            self.offset = bias.to(self.head.weight.device)
        else:
            self.head.bias.copy_(bias / self.gain)

    def layers(self) -> list[list[nn.Parameter]]:
        """The trainable parameters before the head, grouped by layer, first to last."""
        head_parameters = {id(p) for p in self.head.parameters()}
        return [[p for p in self.parameters() if p.requires_grad and id(p) not in head_parameters]]

    def adapt(self, images: Tensor) -> None:
        """Set what depends on training pictures, (B, 3, S, S) in [-1, 1]; called once, before the first step."""

    def before_step(self, progress: float) -> None:
        """Change what depends on the progress of the run, 0..1; called before each step."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        offset = state_dict.get(f"{prefix}offset")
        if offset is not None:  # a fresh network has no buffer to load it into
            self.offset = torch.zeros_like(offset)
        examples = {name: state_dict.get(f"{prefix}head.{name}") for name in NeighboursHead.TENSORS}
        if None not in examples.values():  # it depends on the training pictures how many there are
            self.head = NeighboursHead.like(examples)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def augmentation(size: int) -> Augment:
    """What suits most sets: mirrored; small pictures are shifted, photographs cropped and changed in colour."""
    if size < PHOTOGRAPH:
        return Augment(flip="alternating", shift=max(1, size // 16))
    return Augment(flip="random", crop=0.35, colour=0.4)
