"""What trains an arm: a small network, or a head on frozen features; and what both share."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.engine.optim import adamw

MIN_STEPS, MIN_EPOCHS = 400, 10
MIN_BATCH, MAX_BATCH = 64, 256
WARMUP = 0.2  # share of the steps in which the learning rate rises; it then falls linearly to 0

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Hyperparameters:
    """What is tuned for the baseline, and then is the same for every arm."""

    lr: float
    decay: float

    @property
    def key(self) -> str:
        """For the names of files."""
        return f"lr{self.lr:g}-decay{self.decay:g}"


@dataclass(frozen=True)
class Length:
    """How long every arm is trained, whatever the number of its pictures."""

    steps: int
    batch: int

    @classmethod
    def of(cls, real: int) -> "Length":
        """For a number of real training pictures: ten epochs of them, and 400 steps at least."""
        batch = min(MAX_BATCH, max(MIN_BATCH, 1 << max(0, (real // 12).bit_length() - 1)))
        return cls(max(MIN_STEPS, round(MIN_EPOCHS * real / batch)), batch)

    def share(self, share: float) -> "Length":
        """A share of the steps."""
        return Length(max(1, round(share * self.steps)), self.batch)


class Learner(Protocol):
    """Trains a classifier on pictures, and predicts with it.

    Attributes
    ----------
    key, description
        For files, and for people: a sentence.
    grid
        The hyperparameters that are tried.
    """

    key: str
    description: str
    grid: tuple[Hyperparameters, ...]

    def fit(self, images: Images, how: Hyperparameters, length: Length, seed: int, *, strong: bool = False) -> Tensors:
        """Train on labelled pictures; returns the weights. ``strong``: with strong augmentation."""

    def refit(self, weights: Tensors, images: Images, how: Hyperparameters, length: Length, seed: int) -> Tensors:
        """Train the last layer alone further, on these pictures."""

    def logits(self, weights: Tensors, images: Images) -> Tensor:
        """(N, K) float32."""


@torch.no_grad()
def train_head(
    features: Tensor, labels: Tensor, head: tuple[Tensor, Tensor], how: Hyperparameters, length: Length, seed: int
) -> tuple[Tensor, Tensor]:
    """Train a linear head further by AdamW on cross-entropy.

    Parameters
    ----------
    features, labels
        (N, D) float32 and (N,) int64.
    head
        Weight (K, D) and bias (K,) at the start.

    Returns
    -------
    Both at the end.
    """
    generator = torch.Generator().manual_seed(seed)
    weight, bias = (tensor.clone().requires_grad_() for tensor in head)
    targets = F.one_hot(labels, len(weight)).float()
    optimizer = adamw([weight, bias], how.lr, how.decay)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(length.steps):
        while len(order) < length.batch:
            order = torch.cat([order, torch.randperm(len(features), generator=generator)])
        rows, order = order[: length.batch], order[length.batch :]
        optimizer.param_groups[0]["lr"] = how.lr * _lr_factor((step + 0.5) / length.steps)
        inputs = features[rows]
        # Of cross-entropy, in closed form: automatic differentiation would take half of the time.
        errors = (F.linear(inputs, weight, bias).softmax(1) - targets[rows]) / len(rows)
        weight.grad, bias.grad = errors.T @ inputs, errors.sum(0)
        optimizer.step()
    return weight.detach(), bias.detach()


def _lr_factor(progress: float) -> float:
    return min(progress / WARMUP, (1 - progress) / (1 - WARMUP))


def label_tensor(images: Images) -> Tensor:
    """(N,) int64."""
    return torch.from_numpy(np.array(images.labels, np.int64))
