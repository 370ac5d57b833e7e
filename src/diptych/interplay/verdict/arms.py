"""The arms: the ways to train that a verdict compares, each with as many optimiser steps as the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images

REFIT_SHARE = 0.2  # of the steps, in which the last layer alone is fitted to real pictures


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Attributes
    ----------
    key, title
        For files, and for people.
    dose
        Generated pictures, as a multiple of the real ones.
    filtered
        Whether those that the filter drops are left out.
    refit
        Whether the last steps fit the last layer to real pictures alone.
    balanced
        Whether each class is drawn as often as the others.
    strong
        Whether augmentation is strong.
    pretrained
        Whether features of a pretrained backbone are used where the other arms train a network.
    share
        Of the real training pictures that are used.
    """

    key: str
    title: str
    dose: float = 0.0
    filtered: bool = False
    refit: bool = False
    balanced: bool = False
    strong: bool = False
    pretrained: bool = False
    share: float = 1.0

    @property
    def synthetic(self) -> bool:
        """Whether it uses generated pictures."""
        return self.dose > 0


BASELINE = Arm("baseline", "real pictures, tuned")
OVERSAMPLED = Arm("oversampled", "scarce classes drawn more often", balanced=True)
STRONG = Arm("strong", "strong augmentation", strong=True)
PRETRAINED = Arm("pretrained", "pretrained features", pretrained=True)
SYNTHETIC = (
    Arm("synthetic-0.5", "half as many generated", dose=0.5),
    Arm("synthetic-1", "as many generated", dose=1),
    Arm("synthetic-3", "three times as many generated", dose=3),
)
FILTERED = (
    Arm("filtered", "as many generated, filtered", dose=1, filtered=True),
    Arm("refitted", "the same, last layer refitted on real ones", dose=1, filtered=True, refit=True),
)
CURVE = tuple(Arm(f"real-{n}", f"1/{n} of the real pictures", share=1 / n) for n in (8, 4, 2))


def balanced_rows(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows in which every class occurs as often as the most frequent one; scarce ones are repeated in turn."""
    most = int(np.bincount(labels).max())
    return np.concatenate([np.resize(np.flatnonzero(labels == label), most) for label in np.unique(labels)])


def subset_rows(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """A share of each class, at least one picture; a larger share of the same seed includes a smaller one."""
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return np.sort(np.concatenate([rows[: max(1, round(share * len(rows)))] for rows in members]))


def training_set(arm: Arm, real: Images, generated: Images | None, seed: int) -> Images:
    """The pictures that an arm learns from; ``generated`` are those of its dose, ``None`` without one."""
    if arm.share < 1:
        return real[subset_rows(real.labels, arm.share, seed)]
    if arm.balanced:
        return real[balanced_rows(real.labels)]
    return real if generated is None else real + generated
