"""A head that compares features with labelled examples, in the space in which the classes lie apart."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_SUM = 1e-30  # of similarities, so that a class without any near example has a logit, too


class NeighboursHead(nn.Module):
    """Features (B, D) -> logits (B, K): log Σ exp(sharpness · (cos − 1)) over the examples of each class.

    The cosine is that between projections of the features and of the example. It weighs every example by how near it
    is, where the k nearest neighbours count k of them and none of the others; so it has a gradient.

    Parameters
    ----------
    projection
        (d, D) and ``shift`` (d,): the projection is ``features · projectionᵀ − shift``.
    examples
        (M, d) projected features of labelled pictures, each of unit length.
    labels
        (M,) int64 their class numbers, below ``classes``.
    sharpness
        How much nearer examples outweigh others.
    """

    TENSORS = ("projection", "shift", "examples", "memberships")

    projection: Tensor
    shift: Tensor
    examples: Tensor
    memberships: Tensor
    sharpness: Tensor

    def __init__(
        self, projection: Tensor, shift: Tensor, examples: Tensor, labels: Tensor, classes: int, sharpness: float
    ) -> None:
        super().__init__()
        self.register_buffer("projection", projection)
        self.register_buffer("shift", shift)
        self.register_buffer("examples", examples)
        self.register_buffer("memberships", F.one_hot(labels, classes).float())  # (M, K)
        self.register_buffer("sharpness", torch.tensor(float(sharpness)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, K) of (B, D)."""
        projected = F.normalize(features @ self.projection.T - self.shift, dim=1)
        similarities = torch.exp(self.sharpness * (projected @ self.examples.T - 1))
        return (similarities @ self.memberships).clamp(min=MIN_SUM).log()

    @classmethod
    def like(cls, tensors: Mapping[str, Any]) -> "NeighboursHead":
        """A head of the shapes of these tensors, by their names, to be loaded with them."""
        examples = len(tensors["examples"])
        (inside, _), shift = tensors["projection"].shape, tensors["shift"].shape
        if (shift, tensors["examples"].shape[1:], len(tensors["memberships"])) != ((inside,), (inside,), examples):
            raise ValueError("the tensors of the head do not fit each other")
        labels, classes = torch.zeros(examples, dtype=torch.int64), tensors["memberships"].shape[1]
        projection, shift, like_examples = (torch.empty_like(tensors[name]) for name in cls.TENSORS[:3])
        return cls(projection, shift, like_examples, labels, classes, 1.0)
