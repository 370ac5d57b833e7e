"""From a person's pictures to what a synthesizer is fitted on: checked, sized, and some held out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data import mirror_symmetry
from diptych.data.combine import with_labels
from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.data.provenance import generated_mask, refuse_generated
from diptych.data.training_digests import NONE, Digests, trained_on
from diptych.errors import DataError
from diptych.synthesis.protocols import SampledModel
from diptych.synthesis.settings import MIN_SIZE, SIZE_STEP

log = logging.getLogger("diptych")
MIN_PICTURES = 10
DEFAULT_SIZE = 64  # px
MAX_SIZE_SAMPLE = 2_000  # pictures that the default size is found from
HELD_OUT_SHARE, MAX_HELD_OUT = 0.05, 256
MIN_PICTURES_TO_HOLD_OUT = 100  # with fewer, none is held out
MAX_SYMMETRY_SAMPLE, MAX_OF_A_CLASS = 2000, 1000  # pictures that are compared with their mirror images
GEOMETRY: Geometry = "crop"  # proportions matter in a generated picture


@dataclass(frozen=True)
class PreparedData:
    """The pictures of a run.

    Attributes
    ----------
    training, held_out
        Readable pictures to train on, and those held out for scores (``None`` where there are too few).
    size
        Pixels a side.
    classes
        Names of the classes that have pictures, if the model is conditional; else empty.
    trained
        Digests of pictures that the run's initial weights were trained on.
    private
        Whether the model is to promise privacy: then what is told of the training pictures is their number alone.
    """

    training: Images
    held_out: Images | None
    size: int
    classes: tuple[str, ...]
    trained: Digests = field(default_factory=lambda: NONE)
    private: bool = False

    @property
    def shares(self) -> list[float]:
        """Of each class among the training pictures, or even ones where these are private; empty if unconditional."""
        if self.private:
            return [1 / len(self.classes) for _ in self.classes]
        counts = self.training.counts()
        return [counts[name] / len(self.training) for name in self.classes]

    def for_classes(self, classes: Sequence[str]) -> "PreparedData":
        """The same pictures with their labels numbered as in a fitted model.

        Raises
        ------
        DataError
            The pictures have classes that the model does not know.
        """
        if not classes:
            return replace(self, classes=())
        held_out = None if self.held_out is None else self.held_out.relabel(classes)
        return replace(self, training=self.training.relabel(classes), held_out=held_out, classes=tuple(classes))

    def identity(self) -> dict[str, str]:
        """Fingerprints of both sets, of private pictures their number, for the identity of a run; JSON-able."""
        validation = self.held_out.fingerprint() if self.held_out is not None else ""
        data = counted(len(self.training), "picture") if self.private else self.training.fingerprint()
        return {"data": data, "validation": validation}


def prepare(
    images: Images, validate: Images | None, size: int | None, seed: int, trained: Digests = NONE
) -> PreparedData:
    """Check the pictures, choose the size, leave out what cannot be read, hold some out.

    None of the pictures with digests among ``trained`` is held out or validated on.

    Raises
    ------
    DataError
        There are too few pictures to learn from, or a generated one among those to validate on.
    UsageError
        No network takes pictures of this size.
    """
    selected = training_part(images)
    if len(selected) < len(images):
        log.info('Fitting on %s whose "split" is "train"', counted(len(selected), "picture"))
    _check_number(selected)
    size = default_size(selected) if size is None else size
    readable = selected.readable(size, GEOMETRY)
    _check_number(readable)
    classes = _condition_classes(readable)
    labelled = _number_labels(readable, classes)
    if validate is not None:
        return PreparedData(labelled, _validation(validate, size, classes, trained), size, classes, trained)
    return PreparedData(*_hold_out(labelled, seed, trained), size, classes, trained)


def default_size(images: Images) -> int:
    """The pictures' own size where it is small, else 64; always one that a network takes."""
    # A sample is enough for the median; a header may cost a whole file over the network.
    sides = random_subset(images, MAX_SIZE_SAMPLE, 0).dimensions().min(axis=1)
    sides = sides[sides > 0]
    median = int(np.median(sides)) if len(sides) else DEFAULT_SIZE
    size = min(max(median // SIZE_STEP * SIZE_STEP, MIN_SIZE), DEFAULT_SIZE)
    log.info("Size: %d px (the median of the pictures' shorter sides is %d px)", size, median)
    return size


def is_mirror_symmetric(prepared: PreparedData, seed: int) -> bool:
    """Whether mirroring makes more training pictures, by a sample; see :mod:`diptych.data.mirror_symmetry`."""
    sample = random_subset(prepared.training, MAX_SYMMETRY_SAMPLE, seed)
    labels = np.asarray(sample.labels)
    groups = (np.flatnonzero(labels == label)[:MAX_OF_A_CLASS] for label in np.unique(labels))
    return mirror_symmetry.is_mirror_symmetric(sample.pixels(prepared.size, GEOMETRY), map(torch.from_numpy, groups))


def random_subset(images: Images, most: int, seed: int) -> Images:
    """At most ``most`` of the pictures, drawn by ``seed``, in their order."""
    if len(images) <= most:
        return images
    return images[np.sort(np.random.default_rng(seed).permutation(len(images))[:most])]


def training_part(images: Images) -> Images:
    """The pictures whose group "split" is "train", where there are any; else all."""
    split = images.groups.get("split")
    rows = np.flatnonzero(np.asarray([] if split is None else split).astype(str) == "train")
    return images[rows] if len(rows) else images


def as_folder(into: str | Path | None) -> Path | None:
    """The artefact's folder as a path."""
    return None if into is None else Path(into)


def match_labels(images: Images, classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) numbers of the pictures' labels among ``classes``, matched by name; -1 where there is none."""
    if images.multi_label or not classes:
        return np.full(len(images), -1, np.int64)
    number = {name: i for i, name in enumerate(classes)}
    table = np.array([number.get(name, -1) for name in images.classes] + [-1], np.int64)
    return table[np.asarray(images.labels, np.int64)]


def match_training_split(images: Images, model: SampledModel) -> tuple[Images, Images | None] | None:
    """The training pictures and the held-out ones of a model, if ``images`` are what it was fitted on; else ``None``.

    They are recognized by the fingerprint that the model keeps of its training pictures.
    """
    fingerprint = model.training_fingerprint
    images = training_part(images)
    if fingerprint is None or len(images) < MIN_PICTURES:
        return None
    images = images.readable(model.size_, GEOMETRY)
    images = _number_labels(images, _condition_classes(images))
    known = trained_on(images, model.training_digests)
    splits: list[tuple[Images, Images | None]] = [
        (images, None),
        _hold_out(images, model.seed),
        (images[known], images[~known]),  # of a model that began with another one's weights
    ]
    return next((split for split in splits if split[0].fingerprint() == fingerprint), None)


def _check_number(images: Images) -> None:
    if len(images) >= MIN_PICTURES:
        return
    skipped = f" ({len(images.skipped)} could not be read)" if images.skipped else ""
    raise DataError(
        f"{counted(len(images), 'picture is', 'pictures are')} there{skipped}; a synthesizer needs at least "
        f"{MIN_PICTURES} to learn from, and hundreds to do it well. Add pictures."
    )


def _condition_classes(images: Images) -> tuple[str, ...]:
    """The classes to condition on; none where labels are missing or all alike."""
    if images.multi_label:
        log.info("Pictures with several labels each: the model will not be conditional")
        return ()
    if (images.labels < 0).any():
        if (images.labels >= 0).any():
            log.warning("Some pictures have no label, so the model will not be conditional on class")
        return ()
    present = tuple(name for name, count in images.counts().items() if count)
    return present if len(present) >= 2 else ()


def _number_labels(images: Images, classes: tuple[str, ...]) -> Images:
    """The pictures with labels numbered as the classes; several labels a picture are dropped."""
    if classes:
        return images.relabel(classes)
    return with_labels(images, np.full(len(images), -1), ()) if images.multi_label else images


def _validation(images: Images, size: int, classes: tuple[str, ...], trained: Digests) -> Images:
    """A person's own validation pictures, as the training pictures are."""
    refuse_generated(images, "A validation")
    images = images.readable(size, GEOMETRY)
    if not len(images):
        raise DataError("None of the pictures for validation can be read. Name a set that holds some.")
    known = trained_on(images, trained)
    if known.all():
        raise DataError("The model to start from was trained on every picture for validation. Name others.")
    if known.any():
        pictures = counted(int(known.sum()), "picture for validation is", "pictures for validation are")
        log.warning("%s left out: the model to start from was trained on them", pictures)
        images = images[~known]
    return _number_labels(images, classes)


def _hold_out(images: Images, seed: int, trained: Digests = NONE) -> tuple[Images, Images | None]:
    """The pictures to train on, and a twentieth of the real ones held out; ``None`` where there are too few to."""
    real = ~generated_mask(images)
    if real.sum() < MIN_PICTURES_TO_HOLD_OUT:
        return images, None
    order = np.random.default_rng(seed).permutation(len(images))
    order = order[(real & ~trained_on(images, trained))[order]]
    held_out = np.zeros(len(images), bool)
    held_out[order[: min(MAX_HELD_OUT, max(1, round(HELD_OUT_SHARE * real.sum())))]] = True
    held_out &= np.isin(images.labels, images.labels[~held_out])  # a class's last picture is trained on
    return images[~held_out], images[held_out] if held_out.any() else None
