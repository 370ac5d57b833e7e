"""From a person's pictures to training and validation sets, with every obstacle named in a sentence."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.messages import counted, join_names
from diptych.data.provenance import refuse_generated
from diptych.data.training_digests import NONE, Digests, trained_on
from diptych.errors import DataError
from diptych.recognition.hold_out import Series, describe, hold_out

log = logging.getLogger("diptych")
Mask = NDArray[np.bool_]
FindSeries = Callable[[Images], Series | None]
MIN_PICTURES = 10
MIN_CLASSES = 2
MIN_PER_CLASS = 2  # one to learn from and one to check on
MEASURED_PICTURES = 1000  # whose dimensions decide the size
MAX_NAMES = 8  # classes or files that a message lists before it says "and so many more"


@dataclass(frozen=True)
class PreparedData:
    """Readable, labelled pictures, training and validation with the same classes.

    Attributes
    ----------
    notes
        For the report.
    series
        (N,) of the training pictures, see :mod:`diptych.data.series`; ``None``: not known.
    """

    training: Images
    validation: Images
    notes: tuple[str, ...]
    series: Series | None

    def with_notes(self, *notes: str) -> "PreparedData":
        """The same data with these notes before its own."""
        return replace(self, notes=(*notes, *self.notes))


def prepare(
    images: Images,
    validate: Images | None,
    size: int,
    seed: int,
    *,
    trained: Digests = NONE,
    keep: Digests | None = None,
    find_series: FindSeries | None = None,
) -> PreparedData:
    """Leave out what cannot be used, and hold pictures out for validation.

    Parameters
    ----------
    validate
        Pictures to validate on; ``None`` takes the set's own "validation" part where it has one, and holds out
        a share of the real ones otherwise: 15 % or 2,500 pictures, whichever is fewer, each class in proportion.
    size
        Pixels a side at which the pictures will be decoded.
    trained
        Digests of pictures that the run's initial weights were trained on: none of them is validated on.
    keep
        Digests of the pictures to train on, of a run whose split is to be an earlier one's: all others are held out.
    find_series
        The series of pictures, which are held out as a whole; ``None``: they are not searched for.

    Raises
    ------
    DataError
        There is too little to train on, or ``validate`` holds classes that ``images`` does not, or a generated picture.
    """
    check_labels(images)
    notes: list[str] = []
    parts = _parts(images, notes)
    validate = validate if validate is not None else parts.get("validation")
    check_enough_pictures(parts["train"])  # before they are decoded, and again without those that cannot be
    training = _usable(parts["train"], size, notes)
    check_enough_pictures(training)
    training = training.relabel([name for name, count in training.counts().items() if count])
    series = find_series(training) if find_series else None
    if validate is None:
        if keep is None:
            kept, held_out = hold_out(training, seed, series, trained)
        else:
            kept, held_out = _rows_of(trained_on(training, keep))
        validation = training[held_out]
        _note(notes, describe(len(held_out), series, searched=find_series is not None))
        training, series = training[kept], None if series is None else series[kept]
    else:
        check_labels(validate)
        refuse_generated(validate, "A validation")
        validation = _usable(validate.relabel(training.classes), size, notes)
        if len(validation) == 0:
            raise DataError("No picture for validation can be read. Name others, or let a share be held out.")
        validation = _without_trained(validation, trained, notes)
    notes = list(dict.fromkeys(notes))  # both parts may name the same files
    return PreparedData(training, validation, tuple(notes), series)


def check_labels(images: Images) -> None:
    """Raise DataError unless there are pictures, and at least one of them has a label."""
    if len(images) == 0:
        raise DataError(f"There are no pictures here.{_left_out(images)} Name a folder that holds some.")
    if not labelled_mask(images).any():
        raise DataError(
            "The pictures have no labels. Say where they are: --labels names takes them from file names such as "
            "cat.0.jpg, --labels COLUMN or TABLE.csv:COLUMN from a table (in Python: labels=…). Or put the "
            "pictures of each class into a folder with its name."
        )


def _left_out(images: Images) -> str:
    return f" Not used: {join_names([str(e) for e in images.skipped], MAX_NAMES)}." if images.skipped else ""


def check_readable(images: Images, size: int) -> None:
    """Raise DataError, with the reasons, unless every picture can be decoded at this size."""
    errors = images.unreadable(size)
    if errors:
        reasons = join_names([str(error) for error in errors.values()], MAX_NAMES)
        raise DataError(f"Pictures that cannot be read have no answer here: {reasons}. Use images.readable(size).")


def check_enough_pictures(images: Images) -> None:
    """Raise DataError unless there are enough classes, pictures, and pictures of each class to train on."""
    counts = {name: count for name, count in images.counts().items() if count}
    if len(counts) < MIN_CLASSES:
        found = f"only one class, {next(iter(counts))!r}" if counts else "no labelled picture"
        raise DataError(
            f"There is {found}; a recognizer tells classes apart. Add a folder "
            "with pictures of something else, or say where the labels are: --labels names, COLUMN or TABLE.csv:COLUMN "
            f"(in Python: labels=…).{_left_out(images)}"
        )
    rare = [name for name, count in counts.items() if count < MIN_PER_CLASS]
    if rare:
        raise DataError(
            f"There is only one readable picture of {join_names(rare, MAX_NAMES)}. A class needs at least "
            f"{MIN_PER_CLASS}, one to learn from and one to check on: add pictures, or leave the class out."
        )
    if len(images) < MIN_PICTURES:
        raise DataError(
            f"There are only {len(images)} readable pictures in all. Training needs at least {MIN_PICTURES}; "
            "20 or more a class is where it begins to be useful."
        )


def median_side(images: Images) -> int:
    """The median of the shorter sides, in px, of up to a thousand pictures."""
    rows = np.unique(np.linspace(0, len(images) - 1, MEASURED_PICTURES).astype(int))
    sides = images[rows].dimensions().min(1)
    known = sides[sides > 0]
    if len(known) == 0:
        reasons = [str(e) for e in images[rows[:MAX_NAMES]].readable(8).skipped]
        raise DataError(
            f"None of the pictures can be read: {join_names(reasons, MAX_NAMES)}. Name a folder that holds pictures."
        )
    return int(np.median(known))


def evaluation_part(images: Images) -> Images:
    """The part that a model is to be evaluated on: "test" where the set has one, else all of it."""
    parts = images.groups.get("split")
    if parts is None:
        return images
    if not (parts == "test").any():
        if (parts == "train").any():
            log.warning("The set has a training part and no test part: all of it is evaluated.")
        return images
    log.info("The set has a test part of its own: only that is evaluated.")
    return images[parts == "test"]


def evaluation_images(images: Images, classes: Sequence[str], size: int, use: str = "An evaluation") -> Images:
    """The labelled, readable pictures of the part for evaluation, with labels in a model's order of classes.

    ``use`` is what they are for, as :func:`~diptych.data.provenance.refuse_generated` takes it.

    Raises
    ------
    DataError
        There are none, or one is generated, or of a class that the model does not know.
    """
    part = evaluation_part(images)
    check_labels(part)
    refuse_generated(part, use)
    return require_readable(labelled(part.relabel(classes)), size)


def require_readable(images: Images, size: int) -> Images:
    """The readable pictures; raises DataError if there is none."""
    readable = images.readable(size)
    if len(readable) == 0:
        raise DataError("None of these pictures can be read. Name a set that holds some.")
    return readable


def targets(images: Images) -> Tensor:
    """The labels as a tensor of its own: (N,) int64, or (N, K) bool."""
    return torch.from_numpy(images.labels.copy())


def labelled(images: Images) -> Images:
    """The pictures that have a label."""
    mask = labelled_mask(images)
    return images if mask.all() else images[mask]


def labelled_mask(images: Images) -> Mask:
    """(N,) bool; in a multi-label set a picture without any label is an example of none, not unlabelled."""
    if images.multi_label:
        return np.full(len(images), len(images.classes) > 0)
    return np.asarray(images.labels >= 0)


def _parts(images: Images, notes: list[str]) -> dict[str, Images]:
    """The set's own parts for training and validation, or all of it for training."""
    split = images.groups.get("split")
    if split is None or not (split == "train").any():
        return {"train": images}
    if (split == "test").any():
        _note(notes, f"The set's own test part ({int((split == 'test').sum())} pictures) was left unread.")
    return {name: images[split == name] for name in ("train", "validation") if (split == name).any()}


def _usable(images: Images, size: int, notes: list[str]) -> Images:
    """The pictures that have a label and can be read."""
    unlabelled = int((~labelled_mask(images)).sum())
    if unlabelled:
        _note(notes, f"{counted(unlabelled, 'picture without a label was', 'pictures without a label were')} left out.")
    images = labelled(images)
    empty = [name for name, count in images.counts().items() if count == 0]
    readable = images.readable(size)
    if readable.skipped:
        count, reasons = len(readable.skipped), join_names([str(e) for e in readable.skipped], MAX_NAMES)
        notes.append(f"{counted(count, 'file was', 'files were')} left out, unusable: {reasons}.")
    if empty:
        notes.append(f"Classes without any picture were left out: {join_names(empty, MAX_NAMES)}.")
    return readable


def _note(notes: list[str], note: str) -> None:
    """Log it and keep it for the report; what the data layer has logged already goes into the report alone."""
    log.info("%s", note)
    notes.append(note)


def _rows_of(mask: Mask) -> tuple[Series, Series]:
    """Rows where it is true, and where it is not."""
    return np.flatnonzero(mask), np.flatnonzero(~mask)


def _without_trained(validation: Images, trained: Digests, notes: list[str]) -> Images:
    """The pictures for validation without those that the initial weights were trained on."""
    known = trained_on(validation, trained)
    if known.all():
        raise DataError(
            "The model to start from was trained on every picture for validation. Name others, or let a share be held "
            "out."
        )
    if known.any():
        _note(
            notes, f"{known.sum()} of the pictures for validation were left out: the initial model was trained on them."
        )
    return validation[~known] if known.any() else validation
