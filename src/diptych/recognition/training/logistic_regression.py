"""Logistic regression on what a network sees: the linear head that fits frozen features best."""

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
STEPS = 60  # of LBFGS for each penalty, at most
FAINTEST = 1e-6  # deviation of a feature that counts as none


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
    learn: LabelledFeatures, check: LabelledFeatures, classes: int, *, balanced: bool = False, until: float = math.inf
) -> LinearHead:
    """The regularised multinomial (or, for several labels, logistic) regression that fits other pictures best.

    Minimises mean loss + penalty/2 · |W|² on standardised features by LBFGS, from strong penalties to weak ones, each
    starting where the one before ended; the penalty is the one under which ``check`` is the likeliest.

    Parameters
    ----------
    balanced
        Let every class weigh the same, as if the pictures were drawn evenly over the classes.
    until
        ``time.monotonic()`` after which no further penalty is tried.

    Raises
    ------
    TrainingError
        The features are no numbers.
    """
    if not all(bool(lesson.features.isfinite().all()) for lesson in (learn, check)):
        raise TrainingError("What the network sees is no number: its weights are damaged. Take them from a good copy.")
    mean, deviation = learn.features.mean(0), learn.features.std(0, correction=0)
    scale = (deviation > FAINTEST) / deviation.clamp(min=FAINTEST)
    seen, other = (learn.features - mean) * scale, (check.features - mean) * scale
    best, fewest, worse = (seen.new_zeros(classes, seen.shape[1]), seen.new_zeros(classes), math.inf), math.inf, 0
    weigh, weigh_other = (_weights(lesson.labels, classes, balanced=balanced) for lesson in (learn, check))
    for weight, bias, penalty in _path(seen, learn.labels, weigh, classes):
        told = float(_loss(F.linear(other, weight, bias), check.labels, weigh_other))
        if told < fewest:
            best, fewest, worse = (weight, bias, penalty), told, 0
        else:
            worse += 1
        if worse == PATIENCE or time.monotonic() > until:
            break
    weight, bias, penalty = best
    weight = weight * scale
    return LinearHead(weight, bias - weight @ mean, penalty)


def _path(seen: Tensor, labels: Tensor, weigh: Tensor, classes: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """(weight, bias, penalty) for each penalty in turn."""
    weight = torch.zeros(classes, seen.shape[1], device=seen.device, requires_grad=True)
    bias = torch.zeros(classes, device=seen.device, requires_grad=True)
    for penalty in PENALTIES:
        solver = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss(solver: torch.optim.Optimizer = solver, penalty: float = penalty) -> Tensor:
            solver.zero_grad()
            value = _loss(F.linear(seen, weight, bias), labels, weigh) + penalty / 2 * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        solver.step(loss)  # type: ignore[no-untyped-call]
        yield weight.detach().clone(), bias.detach().clone(), penalty


def _loss(logits: Tensor, labels: Tensor, weigh: Tensor) -> Tensor:
    if labels.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, labels)
    return (F.cross_entropy(logits, labels, reduction="none") * weigh).mean()


def _weights(labels: Tensor, classes: int, *, balanced: bool) -> Tensor:
    """(N,) what each picture weighs, 1 on average."""
    if not balanced or labels.ndim == 2:
        return torch.ones(len(labels), device=labels.device)
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / ((counts > 0).sum() * counts[labels]).float()
