"""Label errors: labels that may be wrong, ranked for a person to review, by recognizers that were not trained on them.

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
#: The prediction of a network that was not trained on a picture, and the labels of the pictures nearest to it, count
#: the same. Networks that were trained on it say nothing: in minutes they learn a few thousand labels by heart.
NEIGHBOURS = 40
MAX_NEIGHBOUR_SHARE = 0.1  # of the held-out pictures
RESERVE_SHARE = 0.03  # of the time is left for the predictions at the end
MIN_PER_FOLD = 10  # pictures
MULTI_LABEL_THRESHOLD = 0.5  # probability from which on a label of several is predicted

Probabilities = NDArray[np.float64]  # (N, K)


def find_label_errors(
    images: Images, *, minutes: float | None = None, seed: int = 0, model: Recognizer | None = None
) -> list[LabelIssue]:
    """Rank the labels that may be wrong, the most suspected first.

    Parameters
    ----------
    images
        Labelled pictures; those without a label or that cannot be read are passed over.
    minutes
        Time for three recognizers, each trained on two thirds of the pictures and applied to the third (near-
        duplicates stay together). Needed without a ``model``.
    model
        A recognizer to use instead, preferably one that was not trained on these pictures.

    Raises
    ------
    UsageError
        cleanlab is not installed, or neither or both of ``minutes`` and ``model`` are given.
    DataError
        There are too few pictures, or classes that the model does not know.
    """
    if (minutes is None) == (model is None):
        raise UsageError("The search for label errors needs either minutes, to train recognizers, or a trained model.")
    if importlib.util.find_spec("cleanlab") is None:
        raise UsageError(
            "The search for label errors needs cleanlab, which is not installed: pip install 'diptych[doctor]'."
        )
    datasets.check_labels(images)
    if model is not None:
        rows, subset, probabilities = _predict(model, images)
    else:
        rows, subset = _searchable(images)
        probabilities = _cross_validate(subset, float(minutes or 0), seed)
    return _rank(rows, subset, probabilities)


def count_trained_on(model: Recognizer, images: Images) -> int:
    """How many of the pictures the model was trained on, by its embedding index (10,000 pictures at most)."""
    if model.embedding_index_ is None:
        return 0
    trained_on = {os.path.abspath(path) for path in model.embedding_index_.paths}  # noqa: PTH100 - "a.parquet#3" is no Path
    return sum(os.path.abspath(path) in trained_on for path in images.paths.tolist())  # noqa: PTH100


def _predict(model: Recognizer, images: Images) -> tuple[NDArray[np.int64], Images, Probabilities]:
    """The rows of the pictures that have a label and a prediction, these pictures, and their probabilities."""
    images = images.relabel(model.classes_)
    overlap = count_trained_on(model, images)
    if overlap:
        log.warning(
            "The model was trained on at least %d of these %d pictures and takes their wrong labels for correct. "
            "Give minutes instead to have recognizers trained on other pictures.", overlap, len(images),
        )  # fmt: skip
    predictions = model.predict(images)
    rows = np.flatnonzero(~np.isnan(predictions.probabilities).any(1) & datasets.labelled_mask(images))
    return rows, images[rows], predictions.probabilities[rows].astype(np.float64)


def _searchable(images: Images) -> tuple[NDArray[np.int64], Images]:
    """The rows of the labelled, readable pictures of classes that every fold can have; and the pictures."""
    usable = datasets.labelled_mask(images)
    usable[list(images.unreadable(datasets.median_side(images)))] = False
    if not images.multi_label:
        counts = np.bincount(images.labels[usable], minlength=len(images.classes))
        rare = [name for name, count in zip(images.classes, counts.tolist(), strict=True) if 0 < count < FOLDS]
        if rare:
            log.warning("Labels are not searched where a class has under %d pictures: %s.", FOLDS, ", ".join(rare))
        usable &= counts[images.labels] >= FOLDS
    rows = np.flatnonzero(usable)
    subset = without_groups(images[rows])
    subset = subset.relabel([name for name, count in subset.counts().items() if count])
    if len(rows) < FOLDS * MIN_PER_FOLD or len(subset.classes) < datasets.MIN_CLASSES:
        raise DataError(
            f"Label errors are found by comparing pictures: that needs {FOLDS * MIN_PER_FOLD} readable pictures of "
            f"two classes, and there are {len(rows)} of {len(subset.classes)}."
        )
    return rows, subset


def _cross_validate(images: Images, minutes: float, seed: int) -> Probabilities:
    """(N, K) out-of-fold: half from a recognizer trained on the other folds, half from the nearest pictures."""
    end = time.monotonic() + 60 * minutes * (1 - RESERVE_SHARE)
    folds = _assign_folds(images, seed)
    probabilities = np.zeros((len(images), len(images.classes)))
    for fold in range(FOLDS):
        held_out = images[folds == fold]
        minutes_left = max(0.01, (end - time.monotonic()) / 60 / (FOLDS - fold))
        log.info("Search for label errors: recognizer %d of %d, %.1f minutes.", fold + 1, FOLDS, minutes_left)
        with _warnings_only():
            model = Recognizer(minutes=minutes_left, seed=seed + fold).fit(images[folds != fold], validate=held_out)
            predicted = model.predict(held_out.relabel(model.classes_)).probabilities
            nearest = _neighbour_labels(model.embed(held_out).numpy(), held_out)
        columns = [images.classes.index(name) for name in model.classes_]
        probabilities[np.ix_(folds == fold, columns)] = predicted / 2
        probabilities[folds == fold] += nearest / 2
    return probabilities


def _neighbour_labels(embeddings: NDArray[np.float32], images: Images) -> Probabilities:
    """(N, K) the share of each label among the nearest of the other pictures."""
    from sklearn.neighbors import NearestNeighbors

    indicators = images.labels if images.multi_label else np.eye(len(images.classes))[images.labels]
    k = max(1, min(NEIGHBOURS, int(MAX_NEIGHBOUR_SHARE * len(images))))
    rows = NearestNeighbors(n_neighbors=k).fit(embeddings).kneighbors(return_distance=False)  # without itself
    return np.asarray(indicators[rows].mean(1), np.float64)


def _assign_folds(images: Images, seed: int) -> NDArray[np.int64]:
    """(N,) the fold of each picture, each class in proportion."""
    from diptych.data.splits import split

    folds = np.zeros(len(images), np.int64)
    for fold, rows in enumerate(split(images, [1 / FOLDS] * FOLDS, seed)):
        folds[rows] = fold
    return folds


def _rank(rows: NDArray[np.int64], images: Images, probabilities: Probabilities) -> list[LabelIssue]:
    """The labels that cleanlab suspects or that are not the likeliest, the least likely first."""
    if images.multi_label:
        predicted = probabilities >= MULTI_LABEL_THRESHOLD
        suspected, quality = _label_quality(images, probabilities)
        suspected |= (predicted != images.labels).any(1)
    else:
        probabilities = probabilities / probabilities.sum(1, keepdims=True)
        predicted = probabilities.argmax(1)
        suspected, quality = _label_quality(images, probabilities)
        suspected |= predicted != images.labels
    given, suggested = label_names(images.labels, images.classes), label_names(predicted, images.classes)
    candidates = np.flatnonzero(suspected)
    issues = [
        LabelIssue(int(rows[i]), ", ".join(given[i]), ", ".join(suggested[i]), float(quality[i]))
        for i in candidates[np.argsort(quality[candidates], kind="stable")].tolist()
    ]
    return [issue for issue in issues if issue.given != issue.suggested]


def _label_quality(images: Images, probabilities: Probabilities) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(N,) which labels confident learning suspects, and how likely each label is."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if images.multi_label:
        likelihood = np.where(images.labels, probabilities, 1 - probabilities)
        return np.zeros(len(images), bool), likelihood.min(1)  # each label is a question of its own
    suspected = find_label_issues(images.labels, probabilities, n_jobs=1)
    return np.array(suspected, bool), np.asarray(get_label_quality_scores(images.labels, probabilities))


@contextmanager
def _warnings_only() -> Iterator[None]:
    """Log only warnings from the inner training runs: three times the same notes would only distract."""
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        log.setLevel(level)
