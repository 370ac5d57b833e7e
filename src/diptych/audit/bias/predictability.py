"""How well a property alone predicts a label: out of fold, against chance, with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.report import Score

WIDE = 8  # numbers from which on a property is reduced, and separated by a linear rule
COMPONENTS = 32  # that a wide property is reduced to
LEAF = 5  # pictures in a leaf of a decision tree, at least
LEAVES_A_CLASS = 4
ROUNDS = 400  # of the bootstrap

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Predictability:
    """What a property alone says of each picture's label.

    Attributes
    ----------
    says
        (N,) the class that it predicts, from pictures other than this one.
    skill
        From 0, as good as chance, to 1, always right: (balanced accuracy − 1/K) / (1 − 1/K).
    """

    says: Numbers
    skill: Score


def reduce(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, D) numbers of a wide property by their principal components."""
    from sklearn.decomposition import PCA

    components = min(COMPONENTS, *values.shape)
    reduced: NDArray[np.float64] = PCA(components, svd_solver="full").fit_transform(values.astype(np.float64))
    return reduced


def predict(
    values: NDArray[np.float64], labels: Numbers, classes: int, folds: Sequence[Numbers], *, narrow: bool
) -> Predictability:
    """Predict each picture's label from a property of it, by a rule fitted to the other folds.

    Parameters
    ----------
    values
        (N, d), a wide property after :func:`reduce`.
    labels
        (N,) class numbers; classes without a picture do not count.
    narrow
        Whether a decision tree suits the property; a linear rule does where it is wide.
    """
    says = np.empty(len(labels), np.int64)
    for fold in folds:
        others = np.setdiff1d(np.arange(len(labels)), fold)
        says[fold] = _rule(len(np.unique(labels)), narrow).fit(values[others], labels[others]).predict(values[fold])
    return Predictability(says, _skill(says == labels, labels, classes))


def _rule(classes: int, narrow: bool):  # type: ignore[no-untyped-def]  # scikit-learn has no types
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.tree import DecisionTreeClassifier

    if not narrow:
        return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1, priors=np.full(classes, 1 / classes))
    return DecisionTreeClassifier(
        max_leaf_nodes=LEAVES_A_CLASS * classes, min_samples_leaf=LEAF, class_weight="balanced", random_state=0
    )


def _skill(hits: NDArray[np.bool_], labels: Numbers, classes: int) -> Score:
    """The skill with its bootstrap interval over the pictures, each class resampled by itself."""
    draw = np.random.default_rng(0)
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    rates = np.bincount(labels, hits, classes)[present] / counts[present]
    chance = 1 / max(2, int(present.sum()))
    resampled = draw.binomial(counts[present], rates, (ROUNDS, int(present.sum()))) / counts[present]
    skills = (resampled.mean(1) - chance) / (1 - chance)
    low, high = np.quantile(skills, (0.025, 0.975))
    return Score(float((rates.mean() - chance) / (1 - chance)), float(low), float(high), len(labels))
