"""Which head suits a backbone's features: logistic regression, discriminant analysis or neighbours, cross-validated.

Which is best depends on the pictures: many favour logistic regression, few of each class discriminant analysis, and
classes that look different from one series of shots to the next the nearest examples. Series stay whole in the folds,
or the nearest example would always be a shot of the same thing.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.recognition.networks.neighbours import NeighboursHead
from diptych.recognition.training.transfer.discriminant_analysis import ClassStatistics, DiscriminantAnalysis, project
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LinearHead, LogisticRegression

FOLDS = 5
SHRINKAGES = (0.5, 0.2, 0.8)  # the likeliest first
SHARPNESSES = (10.0, 20.0, 40.0)
MAX_EXAMPLES = 10_000  # of a neighbours head
LOGISTIC, DISCRIMINANT, NEIGHBOURS = "logistic regression", "discriminant analysis", "nearest examples"
Head = LinearHead | NeighboursHead
Fit = Callable[[LabelledFeatures], Head]
Score = Callable[[Tensor, NDArray[np.int64]], float]  # of (n, K) logits for these n training pictures


@dataclass(frozen=True)
class HeadSelection:
    """The heads that did best, fitted to all training pictures.

    Attributes
    ----------
    name, head
        The best of all.
    linear
        The best linear one, from which fine-tuning starts.
    scores
        The cross-validated score of the best of each kind; empty where nothing was compared.
    fit
        Fits the best kind, with its parameters, to other features.
    """

    name: str
    head: Head
    linear: LinearHead
    scores: dict[str, float]
    fit: Fit

    def cpu(self) -> Self:
        """The same with its tensors on the CPU."""
        head = self.head.cpu() if isinstance(self.head, NeighboursHead) else self.linear.cpu()
        return replace(self, head=head, linear=self.linear.cpu())


@dataclass(frozen=True)
class _Candidate:
    """A kind of head with its parameters: its logits for pictures outside the folds it was fitted to, (N, K)."""

    name: str
    logits: Tensor
    rows: NDArray[np.int64]  # for which there are logits
    fit: Fit


def select_head(
    training: LabelledFeatures,
    classes: int,
    folds: Sequence[NDArray[np.int64]],
    score: Score,
    until: float = math.inf,
) -> HeadSelection:
    """Compare the heads on pictures that they were not fitted to, and fit the best to all.

    Parameters
    ----------
    training
        Where a picture may have several labels, there is no choice: logistic regression.
    folds
        Rows of the training pictures, disjoint, together all of them.
    score
        What is to be as high as possible.
    until
        ``time.monotonic()`` after which nothing more is tried; one head is fitted in any case.

    Raises
    ------
    TrainingError
        A feature is not a finite number.
    """
    if training.labels.ndim == 2:
        others = training[_others(folds, 0, len(training.features))]
        penalty, _ = LogisticRegression(others, classes).search(training[_tensor(folds[0])], until)
        fit = partial(_fit_logistic, classes, penalty)
        only = fit(training)
        return HeadSelection(LOGISTIC, only, only, {}, fit)
    candidates = list(_candidates(training, classes, folds, until))
    rows = min((candidate.rows for candidate in candidates), key=len)
    scores = [score(candidate.logits[_tensor(rows)], rows) for candidate in candidates]
    order = sorted(range(len(candidates)), key=lambda i: -scores[i])  # the earlier one of equals
    best = candidates[order[0]]
    best_linear = next(candidates[i] for i in order if candidates[i].name != NEIGHBOURS)
    head, linear = best.fit(training), best_linear.fit(training)
    assert isinstance(linear, LinearHead)
    highest = {candidates[i].name: scores[i] for i in reversed(order)}
    return HeadSelection(best.name, linear if best is best_linear else head, linear, highest, best.fit)


def _candidates(
    training: LabelledFeatures, classes: int, folds: Sequence[NDArray[np.int64]], until: float
) -> Iterator[_Candidate]:
    """Every head that there is time for; discriminant analysis, the quickest, first."""
    n, everything = len(training.features), np.arange(len(training.features))
    statistics = [
        ClassStatistics.of(part.features, part.labels, classes) for part in (training[_tensor(f)] for f in folds)
    ]
    total = ClassStatistics(*(sum(getattr(s, name) for s in statistics) for name in ("counts", "sums", "moment")))
    for shrinkage in SHRINKAGES:
        linear = torch.zeros(n, classes, device=training.features.device)
        near = {sharpness: torch.zeros_like(linear) for sharpness in SHARPNESSES}
        for number, fold in enumerate(folds):
            rows = _tensor(fold)
            analysis = DiscriminantAnalysis.fit(total - statistics[number], shrinkage)
            linear[rows] = analysis.head().logits(training.features[rows])
            others = training[_others(folds, number, n)]
            for sharpness, head in _neighbours_heads(analysis, others, classes).items():
                near[sharpness][rows] = head(training.features[rows])
        yield _Candidate(DISCRIMINANT, linear, everything, partial(_fit_discriminant, classes, shrinkage))
        for sharpness in SHARPNESSES:
            fit = partial(_fit_neighbours, classes, shrinkage, sharpness)
            yield _Candidate(NEIGHBOURS, near[sharpness], everything, fit)
        if time.monotonic() > until:
            return
    yield from _logistic(training, classes, folds, until)


def _logistic(
    training: LabelledFeatures, classes: int, folds: Sequence[NDArray[np.int64]], until: float
) -> Iterator[_Candidate]:
    """Logistic regression, its penalty chosen on the first fold; on as many folds as there is time for."""
    n = len(training.features)
    logits, scored = torch.zeros(n, classes, device=training.features.device), []
    penalty = 0.0
    for number, fold in enumerate(folds):
        held_out = training[_tensor(fold)]
        regression = LogisticRegression(training[_others(folds, number, n)], classes)
        if number == 0:
            penalty, head = regression.search(held_out, until)
        else:
            head = regression.fit(penalty)
        logits[_tensor(fold)] = head.logits(held_out.features)
        scored.append(fold)
        if time.monotonic() > until:
            break
    fit = partial(_fit_logistic, classes, penalty)
    yield _Candidate(LOGISTIC, logits, np.sort(np.concatenate(scored)), fit)


def _neighbours_heads(
    analysis: DiscriminantAnalysis, examples: LabelledFeatures, classes: int
) -> dict[float, NeighboursHead]:
    """Heads of these examples, or of as many as they may have, in the space of a discriminant analysis."""
    step = -(-len(examples.features) // MAX_EXAMPLES)
    examples = LabelledFeatures(examples.features[::step], examples.labels[::step])
    projection, shift = analysis.projection()
    projected = project(examples.features, projection, shift)
    return {
        sharpness: NeighboursHead(projection, shift, projected, examples.labels, classes, sharpness)
        for sharpness in SHARPNESSES
    }


def _fit_discriminant(classes: int, shrinkage: float, training: LabelledFeatures) -> LinearHead:
    return _analysis(classes, shrinkage, training).head()


def _fit_neighbours(classes: int, shrinkage: float, sharpness: float, training: LabelledFeatures) -> NeighboursHead:
    return _neighbours_heads(_analysis(classes, shrinkage, training), training, classes)[sharpness]


def _fit_logistic(classes: int, penalty: float, training: LabelledFeatures) -> LinearHead:
    return LogisticRegression(training, classes).fit(penalty)


def _analysis(classes: int, shrinkage: float, training: LabelledFeatures) -> DiscriminantAnalysis:
    return DiscriminantAnalysis.fit(ClassStatistics.of(training.features, training.labels, classes), shrinkage)


def _others(folds: Sequence[NDArray[np.int64]], number: int, n: int) -> Tensor:
    """The rows that are not in this fold, ascending."""
    outside = np.ones(n, bool)
    outside[folds[number]] = False
    return _tensor(np.flatnonzero(outside))


def _tensor(rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(rows)
