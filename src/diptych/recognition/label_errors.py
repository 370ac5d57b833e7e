"""Label errors: labels that may be wrong, ranked for a person to review, by recognizers that were not trained on them.

References
----------
Labels that the nearest pictures do not share: Z. Zhu, Z. Dong, Y. Liu, "Detecting corrupted labels without training a
model to predict", ICML 2022.
"""

import logging
import time

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.backbones import local
from diptych.data.combine import without_groups
from diptych.data.images import Images, ImagesLike
from diptych.data.inspection.issues import LabelIssue
from diptych.data.provenance import real_part
from diptych.data.training_digests import trained_on
from diptych.engine import machine
from diptych.engine.run_settings import MINUTES, SEED
from diptych.errors import DataError, UsageError
from diptych.progress import enclosing_bar
from diptych.recognition import datasets
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.label_ranking import LabelSearch, Probabilities, log_odds, rank_labels
from diptych.recognition.recognizer import Recognizer
from diptych.recognition.training.config import SMALL_SIDE
from diptych.recognition.training.transfer.discriminant_analysis import ClassStatistics, DiscriminantAnalysis
from diptych.settings import numbers

log = logging.getLogger("diptych")
FOLDS = 3
#: The prediction of a network that was not trained on a picture, and the labels of the pictures nearest to it, count
#: the same. Networks that were trained on it say nothing: in minutes they learn a few thousand labels by heart.
NEIGHBOURS = 40
MAX_NEIGHBOUR_SHARE = 0.1  # of the held-out pictures
RESERVE_SHARE = 0.03  # of the time is left for the predictions at the end
MIN_PER_FOLD = 10  # pictures
FEATURE_FOLDS = 5  # of pretrained features, which are cheap to fit to
SHRINKAGE = 0.5  # of the covariance, towards a multiple of the identity

Features = NDArray[np.float32]  # (N, D)


@numbers(minutes=MINUTES, seed=SEED)
def find_label_errors(
    images: ImagesLike, *, minutes: float | None = None, seed: int = 0, model: Recognizer | None = None
) -> list[LabelIssue]:
    """Rank the labels that may be wrong, the most suspected first.

    Listed are those for which another label is several times as probable (four times with two classes), by calibrated
    probabilities, and at most a tenth of all.

    Parameters
    ----------
    images
        Labelled pictures; those without a label or that cannot be read are passed over.
    minutes
        Time for three recognizers, each trained on two thirds of the pictures and applied to the third (near-
        duplicates stay together).
    model
        A recognizer to use instead, preferably one that was not trained on these pictures.

    With neither, photographs (a shorter side over 64 px) are compared by the features of the best pretrained backbone
    on this machine, in five folds; other pictures need one of the two.

    Raises
    ------
    UsageError
        Both of ``minutes`` and ``model`` are given, or one is needed.
    DataError
        There are too few pictures, or classes that the model does not know.
    """
    if minutes is not None and model is not None:
        raise UsageError("The search for label errors needs either minutes, to train recognizers, or a trained model.")
    search = _search(Images.of(images), minutes, seed, model)
    return list(search.issues[: search.listed])


def _search(images: Images, minutes: float | None, seed: int, model: Recognizer | None) -> LabelSearch:
    datasets.check_labels(images)
    if model is not None:
        return search_by_model(images, model)
    if minutes is not None:
        return search_by_training(images, minutes, seed)
    embedder = backbone_for(images)
    if embedder is None:
        raise UsageError(
            "Only photographs can be searched for label errors by pretrained features, where the weights are on this "
            "machine. Give minutes, to train recognizers, or a trained model."
        )
    return search_by_features(images, np.concatenate(list(embedder.batches(images))), embedder.name, seed)


def backbone_for(images: Images) -> Embedder | None:
    """The best pretrained backbone on this machine, if the pictures are photographs; ``None``: there is none for them.

    Raises
    ------
    UsageError
        ``DIPTYCH_WEIGHTS`` names no usable weights.
    """
    if not (images.dimensions().min(1) > 0).any() or datasets.median_side(images) <= SMALL_SIDE:
        return None
    candidates = local.local_weights()
    return Embedder.from_backbone(local.best_weights(candidates, machine.device().type).network) if candidates else None


def search_by_model(images: Images, model: Recognizer) -> LabelSearch:
    """By a recognizer that was trained before."""
    rows, subset, probabilities = _predict(model, images)
    return rank_labels(rows, subset, log_odds(probabilities, subset), "the given model")


def search_by_training(images: Images, minutes: float, seed: int) -> LabelSearch:
    """By three recognizers that are trained in this time, each on two thirds of the pictures."""
    readable = np.ones(len(images), bool)
    readable[list(images.unreadable(datasets.median_side(images)))] = False
    rows, subset = _searchable(images, readable)
    probabilities = _cross_validate(subset, minutes, seed)
    return rank_labels(rows, subset, log_odds(probabilities, subset), f"{FOLDS} recognizers trained on these pictures")


def search_by_features(images: Images, features: Features, name: str, seed: int) -> LabelSearch:
    """By shrunk linear discriminant analysis of pretrained features, in five folds.

    Parameters
    ----------
    features
        (N, D) of the pictures, each of unit length; NaN where one cannot be read.
    name
        Of the backbone that gave them.
    """
    rows, subset = _searchable(images, np.array(np.isfinite(features).all(1)))
    inputs, labels = torch.from_numpy(features[rows]), datasets.targets(subset)
    folds = torch.from_numpy(_assign_folds(subset, seed, FEATURE_FOLDS))
    logits = np.empty((len(subset), len(subset.classes)))
    for fold in range(FEATURE_FOLDS):
        held_out = folds == fold
        statistics = ClassStatistics.of(inputs[~held_out], labels[~held_out], len(subset.classes))
        logits[held_out] = DiscriminantAnalysis.fit(statistics, SHRINKAGE).head().logits(inputs[held_out])
    return rank_labels(rows, subset, logits, f"linear discriminant analysis of the features of {name}")


def _predict(model: Recognizer, images: Images) -> tuple[NDArray[np.int64], Images, Probabilities]:
    """The rows of the pictures that have a label and a prediction, these pictures, and their probabilities."""
    images = images.relabel(model.classes_)
    overlap = int(trained_on(images, model.training_digests).sum())
    if overlap:
        log.warning(
            "The model was trained on at least %d of these %d pictures and takes their wrong labels for correct. "
            "Give minutes instead to have recognizers trained on other pictures.", overlap, len(images),
        )  # fmt: skip
    predictions = model.predict(images)
    rows = np.flatnonzero(~np.isnan(predictions.probabilities).any(1) & datasets.labelled_mask(images))
    return rows, images[rows], predictions.probabilities[rows].astype(np.float64)


def _searchable(images: Images, readable: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Images]:
    """The rows of the labelled, readable pictures of classes that every fold can have; and the pictures."""
    usable = datasets.labelled_mask(images) & readable
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
    folds = _assign_folds(images, seed, FOLDS)
    probabilities = np.zeros((len(images), len(images.classes)))
    with enclosing_bar("Searching for label errors, a recognizer a step", FOLDS) as bar:
        for fold in range(FOLDS):
            held_out = images[folds == fold]
            minutes_left = max(0.01, (end - time.monotonic()) / 60 / (FOLDS - fold))
            model = Recognizer(minutes=minutes_left, seed=seed + fold).fit(
                images[folds != fold], validate=real_part(held_out)
            )
            predicted = model.predict(held_out.relabel(model.classes_)).probabilities
            nearest = _neighbour_labels(model.embed(held_out).numpy(), held_out)
            columns = [images.classes.index(name) for name in model.classes_]
            probabilities[np.ix_(folds == fold, columns)] = predicted / 2
            probabilities[folds == fold] += nearest / 2
            bar.advance()
    return probabilities


def _neighbour_labels(embeddings: NDArray[np.float32], images: Images) -> Probabilities:
    """(N, K) the share of each label among the nearest of the other pictures."""
    from sklearn.neighbors import NearestNeighbors

    indicators = images.labels if images.multi_label else np.eye(len(images.classes))[images.labels]
    k = max(1, min(NEIGHBOURS, int(MAX_NEIGHBOUR_SHARE * len(images))))
    rows = NearestNeighbors(n_neighbors=k).fit(embeddings).kneighbors(return_distance=False)  # without itself
    return np.asarray(indicators[rows].mean(1), np.float64)


def _assign_folds(images: Images, seed: int, count: int) -> NDArray[np.int64]:
    """(N,) the fold of each picture, each class in proportion."""
    from diptych.data.splits import split

    folds = np.zeros(len(images), np.int64)
    for fold, rows in enumerate(split(images, [1 / count] * count, seed)):
        folds[rows] = fold
    return folds
