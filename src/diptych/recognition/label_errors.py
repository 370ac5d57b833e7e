"""Labels that may be wrong, for a person to review: what recognizers think of labels they were not taught.

References
----------
Ranking by self-confidence and confident learning: C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating
uncertainty in dataset labels", JAIR 2021 (cleanlab).
Labels that the nearest pictures do not share: Z. Zhu, Z. Dong, Y. Liu, "Detecting corrupted labels without training a
model to predict", ICML 2022.
"""

import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from diptych.data.combine import without_groups
from diptych.data.images import Images
from diptych.data.inspection.issues import LabelIssue
from diptych.data.labels import label_names
from diptych.errors import DataError, UsageError
from diptych.recognition import datasets
from diptych.recognition.recognizer import Recognizer

log = logging.getLogger("diptych")
FOLDS = 3
#: What a network tells of a picture that it was not taught, and what labels the pictures most like it have, count the
#: same. Networks that were taught the picture tell nothing: in minutes they know a few thousand labels by heart.
NEIGHBOURS = 40
MOST_NEIGHBOURS = 0.1  # of the pictures that were not taught
RESERVE_SHARE = 0.03  # of the time is left for the answers at the end
LEAST_A_FOLD = 10  # pictures
LABEL_SHOWN = 0.5  # a label of several is told from this probability on

Chances = NDArray[np.float64]  # (N, K)


def find_label_errors(
    images: Images, *, minutes: float | None = None, seed: int = 0, model: Recognizer | None = None
) -> list[LabelIssue]:
    """Rank the labels that may be wrong, the most doubtful first.

    Parameters
    ----------
    images
        Labelled pictures; those without a label or that cannot be read are passed over.
    minutes
        Time for three recognizers, each trained on two thirds of the pictures and asked about the third (near-
        duplicates stay together). Needed without a ``model``.
    model
        A recognizer to ask instead, best one that was not trained on these pictures.

    Raises
    ------
    UsageError
        cleanlab is not installed, or neither or both of ``minutes`` and ``model`` are given.
    DataError
        There are too few pictures, or classes that the model does not know.
    """
    if (minutes is None) == (model is None):
        raise UsageError("Doubtful labels need either minutes, to train recognizers, or a model that is trained.")
    if importlib.util.find_spec("cleanlab") is None:
        raise UsageError("Doubtful labels need cleanlab, which is not installed: pip install 'diptych[doctor]'.")
    datasets.check_labels(images)
    if model is not None:
        rows, known, chances = _told_by(model, images)
    else:
        rows, known = _reviewable(images)
        chances = _cross_validated(known, float(minutes or 0), seed)
    return _ranked(rows, known, chances)


def count_trained_on(model: Recognizer, images: Images) -> int:
    """How many of the pictures the model was trained on, as far as it remembers (10,000 pictures at most)."""
    if model.embedding_index_ is None:
        return 0
    seen = {os.path.abspath(path) for path in model.embedding_index_.paths}  # noqa: PTH100 - "pets.parquet#3" is no Path
    return sum(os.path.abspath(path) in seen for path in images.paths.tolist())  # noqa: PTH100


def _told_by(model: Recognizer, images: Images) -> tuple[NDArray[np.int64], Images, Chances]:
    told = images.relabel(model.classes_)
    seen = count_trained_on(model, told)
    if seen:
        log.warning(
            "The model was trained on at least %d of these %d pictures: of those it takes wrong labels for right. "
            "Give minutes instead to have recognizers trained that have not seen them.", seen, len(images),
        )  # fmt: skip
    answers = model.predict(told)
    rows = np.flatnonzero(~np.isnan(answers.probabilities).any(1) & _labelled(told))
    return rows, told[rows], answers.probabilities[rows].astype(np.float64)


def _labelled(images: Images) -> NDArray[np.bool_]:
    return np.ones(len(images), bool) if images.multi_label else np.asarray(images.labels >= 0)


def _reviewable(images: Images) -> tuple[NDArray[np.int64], Images]:
    """The rows of the labelled, readable pictures of classes that every fold can have; and the pictures."""
    good = _labelled(images)
    good[list(images.unreadable(datasets.median_side(images)))] = False
    if not images.multi_label:
        counts = np.bincount(images.labels[good], minlength=len(images.classes))
        rare = [name for name, count in zip(images.classes, counts.tolist(), strict=True) if 0 < count < FOLDS]
        if rare:
            log.warning("Labels are not reviewed where a class has under %d pictures: %s.", FOLDS, ", ".join(rare))
        good &= counts[images.labels] >= FOLDS
    rows = np.flatnonzero(good)
    known = without_groups(images[rows])
    known = known.relabel([name for name, count in known.counts().items() if count])
    if len(rows) < FOLDS * LEAST_A_FOLD or len(known.classes) < datasets.LEAST_CLASSES:
        raise DataError(
            f"Doubtful labels are found by comparing pictures: that needs {FOLDS * LEAST_A_FOLD} readable pictures of "
            f"two classes, and there are {len(rows)} of {len(known.classes)}."
        )
    return rows, known


def _cross_validated(images: Images, minutes: float, seed: int) -> Chances:
    """(N, K) probabilities: half from a recognizer that has not seen the picture, half from the pictures like it."""
    ends = time.monotonic() + 60 * minutes * (1 - RESERVE_SHARE)
    number = _folds(images, seed)
    chances = np.zeros((len(images), len(images.classes)))
    for fold in range(FOLDS):
        held = images[number == fold]
        left = max(0.01, (ends - time.monotonic()) / 60 / (FOLDS - fold))
        log.info("Reviewing labels: recognizer %d of %d, %.1f minutes.", fold + 1, FOLDS, left)
        with _hushed():
            model = Recognizer(minutes=left, seed=seed + fold).fit(images[number != fold], validate=held)
            told = model.predict(held.relabel(model.classes_)).probabilities
            alike = _labels_alike(model.embed(held).numpy(), held)
        order = [images.classes.index(name) for name in model.classes_]
        chances[np.ix_(number == fold, order)] = told / 2
        chances[number == fold] += alike / 2
    return chances


def _labels_alike(embeddings: NDArray[np.float32], images: Images) -> Chances:
    """(N, K) the share of each label among the nearest of the other pictures."""
    from sklearn.neighbors import NearestNeighbors

    owned = images.labels if images.multi_label else np.eye(len(images.classes))[images.labels]
    k = max(1, min(NEIGHBOURS, int(MOST_NEIGHBOURS * len(images))))
    others = NearestNeighbors(n_neighbors=k).fit(embeddings).kneighbors(return_distance=False)  # without itself
    return np.asarray(owned[others].mean(1), np.float64)


def _folds(images: Images, seed: int) -> NDArray[np.int64]:
    """(N,) the fold of each picture, each class in proportion."""
    from diptych.data.splits import split

    number = np.zeros(len(images), np.int64)
    for fold, rows in enumerate(split(images, [1 / FOLDS] * FOLDS, seed)):
        number[rows] = fold
    return number


def _ranked(rows: NDArray[np.int64], images: Images, chances: Chances) -> list[LabelIssue]:
    """The labels that cleanlab finds wrong or that are not the likeliest, by how likely they are."""
    chances = chances / chances.sum(1, keepdims=True) if not images.multi_label else chances
    told = chances >= LABEL_SHOWN if images.multi_label else chances.argmax(1)
    doubtful, score = _by_cleanlab(images, chances)
    doubtful |= (told != images.labels).any(1) if images.multi_label else told != images.labels
    given, suggested = label_names(images.labels, images.classes), label_names(told, images.classes)
    chosen = np.flatnonzero(doubtful)
    found = [
        LabelIssue(int(rows[i]), ", ".join(given[i]), ", ".join(suggested[i]), float(score[i]))
        for i in chosen[np.argsort(score[chosen], kind="stable")].tolist()
    ]
    return [candidate for candidate in found if candidate.given != candidate.suggested]


def _by_cleanlab(images: Images, chances: Chances) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(N,) which labels confident learning finds wrong, and how likely each label is."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if images.multi_label:
        right = np.where(images.labels, chances, 1 - chances)
        return np.zeros(len(images), bool), right.min(1)  # each label is a question of its own
    doubtful = find_label_issues(images.labels, chances, n_jobs=1)
    return np.array(doubtful, bool), np.asarray(get_label_quality_scores(images.labels, chances))


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what each training run tells to warnings: three times the same would tell less."""
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        log.setLevel(level)
