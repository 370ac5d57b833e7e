"""Logistic regression on a network's features."""

import math
import time
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.errors import TrainingError

PENALTIES = tuple(10 ** (-step / 2) for step in range(11))  # 1 to 1e-5, on the mean loss; strong ones first
PATIENCE = 2  # penalties in a row that fit the other pictures worse than the best, before the search ends
MAX_STEPS = 60  # of LBFGS for each penalty
MIN_SCALE = 1e-6  # of the features, under which they count as constant


@dataclass(frozen=True)
class LinearHead:
    """Logits = features · weightᵀ + bias; weight (K, D), bias (K,)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """(N, K) of (N, D) features."""
        return F.linear(features, self.weight, self.bias)

    def cpu(self) -> Self:
        """The same on the CPU."""
        return replace(self, weight=self.weight.cpu(), bias=self.bias.cpu())


@dataclass(frozen=True)
class LabelledFeatures:
    """Features (N, D) float32 and their labels: (N,) int64, or (N, K) float32 of 0 and 1."""

    features: Tensor
    labels: Tensor

    def __getitem__(self, rows: Tensor) -> "LabelledFeatures":
        return LabelledFeatures(self.features[rows], self.labels[rows])


class LogisticRegression:
    """The regularised multinomial (or, for several labels, logistic) regression.

    Minimises mean loss + penalty/2 · |W|² by LBFGS, on features that are centred and divided by one number, their root
    mean square: directions in which pretrained features vary little say less about the class.

    Parameters
    ----------
    balanced
        Let every class weigh the same, as if the pictures were drawn evenly over the classes.

    Raises
    ------
    TrainingError
        A feature is not a finite number.
    """

    def __init__(self, training: LabelledFeatures, classes: int, *, balanced: bool = False) -> None:
        if not bool(training.features.isfinite().all()):
            raise TrainingError(
                "The network's features are not finite numbers: its weights are damaged. Take them from a good copy."
            )
        self._mean = training.features.mean(0)
        centred = training.features - self._mean
        scale = float(centred.square().mean().sqrt())
        self._scale = 1 / scale if scale > MIN_SCALE else 0.0
        self._features, self._labels = centred * self._scale, training.labels
        self._classes, self._balanced = classes, balanced
        self._weights = _weights(training.labels, classes, balanced=balanced)
        device = training.features.device
        self._weight = torch.zeros(classes, self._features.shape[1], device=device, requires_grad=True)
        self._bias = torch.zeros(classes, device=device, requires_grad=True)

    def fit(self, penalty: float) -> LinearHead:
        """The head for this penalty; the solver starts where the last one ended."""
        solver = torch.optim.LBFGS([self._weight, self._bias], max_iter=MAX_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            solver.zero_grad()
            logits = F.linear(self._features, self._weight, self._bias)
            value = _loss(logits, self._labels, self._weights) + penalty / 2 * self._weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        solver.step(loss)  # type: ignore[no-untyped-call]
        weight = self._weight.detach() * self._scale
        return LinearHead(weight, self._bias.detach() - weight @ self._mean)

    def search(self, other: LabelledFeatures, until: float = math.inf) -> tuple[float, LinearHead]:
        """The penalty under which ``other`` pictures are likeliest, and the head for it; from strong to weak ones.

        Parameters
        ----------
        until
            ``time.monotonic()`` after which no further penalty is tried.
        """
        weights = _weights(other.labels, self._classes, balanced=self._balanced)
        best: tuple[float, LinearHead] | None = None
        lowest, worse = math.inf, 0
        for penalty in PENALTIES:
            head = self.fit(penalty)
            loss = float(_loss(head.logits(other.features), other.labels, weights))
            if best is None or loss < lowest:
                best, lowest, worse = (penalty, head), loss, 0
            else:
                worse += 1
            if worse == PATIENCE or time.monotonic() > until:
                break
        assert best is not None
        return best


def _loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    if labels.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, labels)
    return (F.cross_entropy(logits, labels, reduction="none") * weights).mean()


def _weights(labels: Tensor, classes: int, *, balanced: bool) -> Tensor:
    """(N,) what each picture weighs, 1 on average."""
    if not balanced or labels.ndim == 2:
        return torch.ones(len(labels), device=labels.device)
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / ((counts > 0).sum() * counts[labels]).float()
