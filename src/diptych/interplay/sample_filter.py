"""The sample filter: which generated pictures may join real ones in training.

A generated picture is kept if a recognizer takes it for its class at middling confidence, if it lies as near to the
training pictures as held-out real ones do, and if it copies none of them. Every limit is a quantile of held-out real
pictures, so most of these would pass. The recognizer is the filter's own: one that also judged the result afterwards
would find in it what it had selected.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.backbones import local, timm_backbone
from diptych.backbones.features import MIN_SIDE
from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.engine import machine
from diptych.errors import DataError
from diptych.interplay import inputs
from diptych.interplay.judge import RandomFilters, train_small_recognizer
from diptych.metrics.memorisation import (
    MAX_SIDE,
    SUFFICIENT_REAL,
    CopyThreshold,
    TrainingPictures,
    copy_threshold,
    is_copy,
    nearest_training,
)
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LogisticRegression
from diptych.synthesis.datasets import match_labels, random_subset

log = logging.getLogger("diptych")
MIN_VALIDATION = 20  # labelled real pictures to take limits from
MIN_CORRECT = 10  # of them that the filter's recognizer must get right
UNSURE = 0.05  # share of correctly recognized real pictures that is less sure than the lower limit,
CERTAIN = 0.01  # and that is surer than the upper one
ATYPICAL = 0.05  # share of real pictures that lies farther from the training pictures than the limit
ROWS = 1024  # compared with all training pictures at once
COPY, OTHER_CLASS, TOO_UNSURE, TOO_CERTAIN, UNLIKE_REAL = REASONS = (
    "copy of a training picture",
    "taken for another class",
    "too unsure",
    "suspiciously certain",
    "unlike real pictures",
)


class Limits(NamedTuple):
    """Between which a picture passes: the lowest and highest log-odds of its class, and the lowest similarity."""

    unsure: float
    certain: float
    similarity: float


@dataclass(frozen=True)
class Filtered:
    """Result of :meth:`SampleFilter.apply`.

    Attributes
    ----------
    reason
        (N,) one of :data:`REASONS` for each picture that is dropped, the first that applies; "" for those kept.
    """

    reason: NDArray[np.str_]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(N,) which pictures pass."""
        return np.asarray(self.reason == "", np.bool_)

    @property
    def reasons(self) -> dict[str, int]:
        """How many pictures were dropped for each reason that occurs."""
        counts = Counter(self.reason.tolist())
        return {reason: counts[reason] for reason in REASONS if counts[reason]}


@dataclass(frozen=True)
class Measured:
    """What the filter's recognizer says of N pictures.

    Attributes
    ----------
    features
        (N, D) of unit length.
    labels
        (N,) int64, among the filter's classes.
    log_odds
        (N,) of each picture's own class.
    correct
        (N,) bool: whether it is taken for its own class.
    """

    features: Tensor
    labels: NDArray[np.int64]
    log_odds: Tensor
    correct: Tensor


@dataclass(frozen=True)
class _Recognizer:
    """The filter's own recognizer.

    Attributes
    ----------
    embedder
        Its network.
    head
        On the network's features; ``None``: the network's own.
    neutral
        An embedder that was trained on none of the pictures.
    """

    embedder: Embedder
    head: Callable[[Tensor], Tensor] | None
    neutral: Embedder

    def measure(self, images: Images, labels: NDArray[np.int64]) -> Measured:
        """Compute the features of the pictures once, and what follows from them."""
        outputs = self.embedder.outputs(images, "Filtering")
        features = F.normalize(outputs.features, dim=1)
        logits = outputs.logits if self.head is None else self.head(features)
        targets = torch.from_numpy(labels.copy())
        return Measured(features, labels, log_odds(logits, targets), logits.argmax(1) == targets)


class SampleFilter:
    """Which generated pictures may join real ones; made by :meth:`fit`.

    Attributes
    ----------
    classes
        Names of the classes that it knows.
    size
        Side in px at which pictures are compared.
    limits
        See :class:`Limits`.
    training, validation
        What its recognizer says of the pictures that it was fitted to, and of the held-out ones.
    real_share
        Share of the held-out real pictures that pass it, copies not counted.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        size: int,
        recognizer: _Recognizer,
        training: Measured,
        validation: Measured,
        copies: tuple[TrainingPictures, CopyThreshold],
    ) -> None:
        self.classes, self.size = classes, size
        self.training, self.validation = training, validation
        self._recognizer, self._copies = recognizer, copies
        sure = validation.log_odds[validation.correct].double()
        similarity = nearest_similarity(validation.features, training.features)
        self.limits = Limits(
            float(sure.quantile(UNSURE)),
            float(sure.quantile(1 - CERTAIN)),
            float(similarity.double().quantile(ATYPICAL)),
        )
        none = torch.zeros(len(similarity), dtype=torch.bool)
        self.real_share = float((self._reasons(validation, similarity, none) == "").mean())

    @classmethod
    def fit(cls, training: Images, validation: Images, size: int, *, seed: int = 0) -> Self:
        """Fit a recognizer of the filter's own to ``training``, and take the limits from ``validation``.

        Parameters
        ----------
        training
            Real labelled pictures.
        validation
            Other real labelled pictures of these classes; none of them, nor a copy of it, among ``training``. Copies of
            either are dropped, since the synthesizer may have been trained on both.
        size
            Of the generated pictures, in px. From 32 px on the features are a pretrained backbone's, with logistic
            regression on them; below, a small network is trained.

        Raises
        ------
        DataError
            The pictures are too few to train on or to take limits from, or cannot be told apart.
        """
        training, validation = (_usable(images, size) for images in (training, validation))
        training = training.relabel([name for name, count in training.counts().items() if count])
        labels = match_labels(validation, training.classes)
        validation, labels = validation[labels >= 0], labels[labels >= 0]
        if len(validation) < MIN_VALIDATION:
            raise DataError(
                f"The filter of generated pictures takes its limits from held-out real ones, and there are "
                f"{len(validation)}; it needs {MIN_VALIDATION} or more. Add real pictures."
            )
        recognizer = _fit_recognizer(training, validation, labels, size, seed)
        measured = recognizer.measure(validation, labels)
        if int(measured.correct.sum()) < MIN_CORRECT:
            raise DataError(
                f"The filter's recognizer takes {int((~measured.correct).sum())} of {len(validation)} held-out real "
                "pictures for another class, so it cannot check generated ones. Add real pictures, or look at the "
                "labels: diptych inspect PICTURES"
            )
        copies = _copy_search(training, validation, size)
        return cls(training.classes, size, recognizer, recognizer.measure(training, training.labels), measured, copies)

    def measure(self, images: Images) -> Measured:
        """What the filter's recognizer says of pictures, each of the class that it is labelled with.

        Raises
        ------
        DataError
            A picture has no label, or one that the filter does not know.
        """
        labels = match_labels(images, self.classes)
        if (labels < 0).any():
            first = int(np.argmax(labels < 0))
            raise DataError(
                f"{images.paths[first]} has no label among {', '.join(self.classes)}, so it cannot be checked. "
                "Generate pictures of these classes: fit the synthesizer on pictures with the same labels."
            )
        return self._recognizer.measure(inputs.resized(images, self.size), labels)

    def neutral_features(self, images: Images) -> Tensor:
        """(N, D) of unit length, by an embedder that was trained on none of the pictures.

        To a trained network its training pictures stand out, and no others would seem to cover them.
        """
        return torch.cat(list(self._recognizer.neutral.batches(inputs.resized(images, self.size))))

    def apply(self, generated: Images, measured: Measured | None = None) -> Filtered:
        """Check generated pictures, each against the class that it was generated for.

        ``measured`` is what :meth:`measure` has said of them; ``None``: it is asked. Raises what that raises.
        """
        if not len(generated):
            return Filtered(np.array([], np.str_))
        measured = self.measure(generated) if measured is None else measured
        pictures, threshold = self._copies
        copies = is_copy(nearest_training(_small(generated, self.size), pictures), threshold)
        return Filtered(self._reasons(measured, nearest_similarity(measured.features, self.training.features), copies))

    def _reasons(self, measured: Measured, similarity: Tensor, copies: Tensor) -> NDArray[np.str_]:
        checks = {
            COPY: copies,
            OTHER_CLASS: ~measured.correct,
            TOO_UNSURE: measured.log_odds < self.limits.unsure,
            TOO_CERTAIN: measured.log_odds > self.limits.certain,
            UNLIKE_REAL: similarity < self.limits.similarity,
        }
        return np.select([check.numpy() for check in checks.values()], list(checks), "")


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """(N,) log p/(1 - p) of each picture's own class, of (N, K) logits: exact also where p rounds to 1."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], -torch.inf).logsumexp(1)


def nearest_similarity(features: Tensor, training: Tensor) -> Tensor:
    """(N,) the cosine of each row, of unit length as all are, to the nearest training picture."""
    return torch.cat([(rows @ training.T).amax(1) for rows in torch.split(features, ROWS)])


def _usable(images: Images, size: int) -> Images:
    """The labelled, readable pictures as squares."""
    if images.multi_label:
        raise DataError(
            "The filter of generated pictures needs one label a picture, and these have several each. Use a set with "
            "one label a picture."
        )
    images = images[images.labels >= 0].readable(size, inputs.GEOMETRY)
    if not len(images):
        raise DataError("There are no labelled, readable real pictures to fit a filter to. Name a set that holds some.")
    return inputs.resized(images, size)


def _fit_recognizer(
    training: Images, validation: Images, labels: NDArray[np.int64], size: int, seed: int
) -> _Recognizer:
    weights = local.judging_weights(size, machine.device().type)
    if weights is None:
        fitted = train_small_recognizer(training, size, seed)
        embedder = Embedder(fitted.network_, fitted.size_, "the filter's small recognizer")
        return _Recognizer(embedder, None, Embedder(RandomFilters(), size, "fixed random filters"))
    side = min(max(MIN_SIDE, size), max(MIN_SIDE, timm_backbone.default_size(weights.network)))
    embedder = Embedder.from_backbone(weights.network, side)
    features, other_features = (torch.cat(list(embedder.batches(images))) for images in (training, validation))
    regression = LogisticRegression(
        LabelledFeatures(features, torch.from_numpy(training.labels.copy())), len(training.classes), balanced=True
    )
    _, head = regression.search(LabelledFeatures(other_features, torch.from_numpy(labels.copy())))
    return _Recognizer(embedder, head.logits, embedder)


def _copy_search(training: Images, validation: Images, size: int) -> tuple[TrainingPictures, CopyThreshold]:
    """All real pictures prepared for comparison, and the threshold below which a picture counts as a copy of one."""
    if len(training) > inputs.MAX_TRAINING:
        pictures = counted(inputs.MAX_TRAINING, "training picture", "training pictures")
        log.info("Copies are searched for among %s of %s", pictures, f"{len(training):,}")
    known = _small(random_subset(training, inputs.MAX_TRAINING, 0), size)
    prepared = TrainingPictures(known)
    held_out = nearest_training(_small(random_subset(validation, SUFFICIENT_REAL, 0), size), prepared)
    everything = TrainingPictures(torch.cat([known, _small(validation, size)]))
    return everything, copy_threshold(prepared, held_out)


def _small(images: Images, size: int) -> Tensor:
    """(N, 3, side, side) uint8, of the side at which copies are searched for."""
    return images.pixels(min(MAX_SIDE, size), inputs.GEOMETRY)
