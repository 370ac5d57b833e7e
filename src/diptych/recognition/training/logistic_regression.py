"""Logistic regression on a network's features: the linear head that fits frozen features best."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.errors import TrainingError

PENALTIES = tuple(10 ** (-step / 2) for step in range(11))  # 1 to 1e-5, on the mean loss; strong ones first
PATIENCE = 2  # penalties in a row that fit the validation pictures worse than the best, before the search ends
MAX_STEPS = 60  # of LBFGS for each penalty
MIN_DEVIATION = 1e-6  # of a feature, under which it counts as constant


@dataclass(frozen=True)
class LinearHead:
    """Logits = features · weightᵀ + bias; weight (K, D), bias (K,)."""

    weight: Tensor
    bias: Tensor
    penalty: float

    def logits(self, features: Tensor) -> Tensor:
        """(N, K) of (N, D) features."""
        return F.linear(features, self.weight, self.bias)


@dataclass(frozen=True)
class LabelledFeatures:
    """Features (N, D) float32 and their labels: (N,) int64, or (N, K) float32 of 0 and 1."""

    features: Tensor
    labels: Tensor


def fit_logistic_regression(
    training: LabelledFeatures,
    validation: LabelledFeatures,
    classes: int,
    *,
    balanced: bool = False,
    until: float = math.inf,
) -> LinearHead:
    """The regularised multinomial (or, for several labels, logistic) regression that fits the validation set best.

    Minimises mean loss + penalty/2 · |W|² on standardised features by LBFGS, from strong penalties to weak ones, each
    starting where the one before ended; the penalty is the one under which ``validation`` is likeliest.

    Parameters
    ----------
    balanced
        Let every class weigh the same, as if the pictures were drawn evenly over the classes.
    until
        ``time.monotonic()`` after which no further penalty is tried.

    Raises
    ------
    TrainingError
        A feature is not a finite number.
    """
    if not all(bool(labelled.features.isfinite().all()) for labelled in (training, validation)):
        raise TrainingError(
            "The network's features are not finite numbers: its weights are damaged. Take them from a good copy."
        )
    mean, deviation = training.features.mean(0), training.features.std(0, correction=0)
    scale = (deviation > MIN_DEVIATION) / deviation.clamp(min=MIN_DEVIATION)
    features, validation_features = (training.features - mean) * scale, (validation.features - mean) * scale
    best = (features.new_zeros(classes, features.shape[1]), features.new_zeros(classes), math.inf)
    lowest, worse = math.inf, 0
    weights, validation_weights = (_weights(part.labels, classes, balanced=balanced) for part in (training, validation))
    for weight, bias, penalty in _regularisation_path(features, training.labels, weights, classes):
        loss = float(_loss(F.linear(validation_features, weight, bias), validation.labels, validation_weights))
        if loss < lowest:
            best, lowest, worse = (weight, bias, penalty), loss, 0
        else:
            worse += 1
        if worse == PATIENCE or time.monotonic() > until:
            break
    weight, bias, penalty = best
    weight = weight * scale
    return LinearHead(weight, bias - weight @ mean, penalty)


def _regularisation_path(
    features: Tensor, labels: Tensor, weights: Tensor, classes: int
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """(weight, bias, penalty) for each penalty in turn."""
    weight = torch.zeros(classes, features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(classes, device=features.device, requires_grad=True)
    for penalty in PENALTIES:
        solver = torch.optim.LBFGS([weight, bias], max_iter=MAX_STEPS, line_search_fn="strong_wolfe")

        def loss(solver: torch.optim.Optimizer = solver, penalty: float = penalty) -> Tensor:
            solver.zero_grad()
            value = _loss(F.linear(features, weight, bias), labels, weights) + penalty / 2 * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        solver.step(loss)  # type: ignore[no-untyped-call]
        yield weight.detach().clone(), bias.detach().clone(), penalty


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
