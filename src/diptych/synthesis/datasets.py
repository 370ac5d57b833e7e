"""From a person's pictures to what a synthesizer is fitted on: checked, sized, and a few held out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.combine import with_labels
from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.errors import DataError, UsageError

if TYPE_CHECKING:
    from diptych.synthesis.model import SynthesisModel

log = logging.getLogger("diptych")
FEWEST_PICTURES = 10
SMALLEST_SIZE, LARGEST_SIZE = 8, 128
USUAL_SIZE = 64
MEASURED = 2_000  # pictures, for the usual size
HELD_SHARE, MOST_HELD = 0.05, 256
FEWEST_TO_HOLD_OUT_FROM = 100
GEOMETRY: Geometry = "crop"  # proportions matter in a made picture


@dataclass(frozen=True)
class PreparedData:
    """What a run is made of.

    Attributes
    ----------
    train, held
        Readable pictures to learn from, and those kept back for losses (``None`` where there are too few).
    size
        Pixels a side.
    classes
        Names of the classes that have pictures, if the model is to be conditional; else empty.
    """

    train: Images
    held: Images | None
    size: int
    classes: tuple[str, ...]

    @property
    def shares(self) -> list[float]:
        """Of each class among the training pictures; empty if unconditional."""
        counts = self.train.counts()
        return [counts[name] / len(self.train) for name in self.classes]

    def for_classes(self, classes: Sequence[str]) -> "PreparedData":
        """The same pictures with their labels numbered as a model that is fitted has them.

        Raises
        ------
        DataError
            The pictures have classes that the model does not know.
        """
        if not classes:
            return PreparedData(self.train, self.held, self.size, ())
        held = None if self.held is None else self.held.relabel(classes)
        return PreparedData(self.train.relabel(classes), held, self.size, tuple(classes))


def prepare(images: Images, validate: Images | None, size: int | None, seed: int) -> PreparedData:
    """Check the pictures, choose the size, leave out what cannot be read, hold a few back.

    Raises
    ------
    DataError
        There are too few pictures to learn from.
    UsageError
        The size asked for is none that a network can have.
    """
    learnt_from = train_part(images)
    if len(learnt_from) < len(images):
        log.info('Fitting on the %d pictures whose "split" is "train"', len(learnt_from))
    images = learnt_from
    _enough(images)
    chosen = default_size(images) if size is None else check_size(size)
    images = images.readable(chosen, GEOMETRY)
    _enough(images)
    classes = _conditions(images)
    images = _labelled_for(classes, images)
    if validate is not None:
        validate = validate.readable(chosen, GEOMETRY)
        if not len(validate):
            raise DataError("None of the pictures for validation can be read. Name a set that holds some.")
        return PreparedData(images, _labelled_for(classes, validate), chosen, classes)
    train, held = _held_out(images, seed)
    return PreparedData(train, held, chosen, classes)


def check_size(size: int) -> int:
    """``size`` itself if it is a multiple of 4 from 8 to 128; else a :class:`UsageError` that names the nearest."""
    if size % 4 == 0 and SMALLEST_SIZE <= size <= LARGEST_SIZE:
        return size
    below = min(max(size // 4 * 4, SMALLEST_SIZE), LARGEST_SIZE)
    above = min(max(below + 4, SMALLEST_SIZE), LARGEST_SIZE)
    nearest = str(below) if size < SMALLEST_SIZE or size > LARGEST_SIZE else f"{below} or {above}"
    raise UsageError(
        f"A synthesizer's pictures are a multiple of 4 from {SMALLEST_SIZE} to {LARGEST_SIZE} pixels a side, "
        f"not {size}. Set the size to {nearest}."
    )


def default_size(images: Images) -> int:
    """The pictures' own size where it is small, else 64; always one that a network can have."""
    # Some are enough to know the middle; a header may cost a whole file, fetched from afar.
    sides = random_subset(images, MEASURED, 0).dimensions().min(axis=1)
    sides = sides[sides > 0]
    own = int(np.median(sides)) if len(sides) else USUAL_SIZE
    size = min(max(own // 4 * 4, SMALLEST_SIZE), USUAL_SIZE)
    log.info("Size: %d px (the pictures' shorter side is %d px in the middle of the range)", size, own)
    return size


def mirror_symmetric(pixels: Tensor, labels: NDArray[np.int64]) -> bool:
    """Whether the pictures look as likely when mirrored, so that mirroring makes more of them.

    If they do, each picture minus its mirror image is as likely as its negative, and the squared norm of the sum
    of these differences is about the sum of their squared norms. Letters and digits are far above that.
    """
    unequal = 0.0
    for label in np.unique(labels):
        chosen = to_float(pixels[torch.from_numpy(np.flatnonzero(labels == label)[:1000])])
        differences = (chosen - chosen.flip(3)).double()
        together, apart = differences.sum(dim=0).square().sum(), differences.square().sum()
        unequal = max(unequal, float(together / apart.clamp(min=1e-9)))
    return unequal < 4.0


def random_subset(images: Images, most: int, seed: int) -> Images:
    """At most ``most`` of the pictures, drawn by ``seed``, in their order."""
    if len(images) <= most:
        return images
    return images[np.sort(np.random.default_rng(seed).permutation(len(images))[:most])]


def train_part(images: Images) -> Images:
    """The part that a model is to learn from: "train" where the set has one, else all of it."""
    split = images.groups.get("split")
    rows = np.flatnonzero(np.asarray([] if split is None else split).astype(str) == "train")
    return images[rows] if len(rows) else images


def _enough(images: Images) -> None:
    if len(images) >= FEWEST_PICTURES:
        return
    skipped = f" ({len(images.skipped)} could not be read)" if images.skipped else ""
    raise DataError(
        f"There are {len(images)} pictures{skipped}; a synthesizer needs at least {FEWEST_PICTURES} to learn "
        "from, and hundreds to do it well. Add pictures."
    )


def _conditions(images: Images) -> tuple[str, ...]:
    """The classes to condition on; none where labels are missing or say nothing."""
    if images.multi_label:
        log.info("Pictures with several labels each: the model will not be conditional")
        return ()
    if (images.labels < 0).any():
        if (images.labels >= 0).any():
            log.warning("Some pictures have no label, so the model will not be conditional on class")
        return ()
    present = tuple(name for name, count in images.counts().items() if count)
    return present if len(present) >= 2 else ()


def _labelled_for(classes: tuple[str, ...], images: Images) -> Images:
    """The pictures with labels numbered as the classes; with none where several a picture say nothing to a model."""
    if classes:
        return images.relabel(classes)
    return with_labels(images, np.full(len(images), -1), ()) if images.multi_label else images


def _held_out(images: Images, seed: int) -> tuple[Images, Images | None]:
    if len(images) < FEWEST_TO_HOLD_OUT_FROM:
        return images, None
    order = np.random.default_rng(seed).permutation(len(images))
    held = np.zeros(len(images), bool)
    held[order[: min(MOST_HELD, max(1, round(HELD_SHARE * len(images))))]] = True
    held &= np.isin(images.labels, images.labels[~held])  # a class's last picture is learnt from
    return images[~held], images[held] if held.any() else None


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


def training_split(images: Images, model: "SynthesisModel") -> tuple[Images, Images | None] | None:
    """The pictures that a model was fitted on and those held back, if ``images`` are what it was given; else ``None``.

    Told by the fingerprint that the model keeps of its training pictures.
    """
    kept = model.fingerprint
    images = train_part(images)
    if kept is None or len(images) < FEWEST_PICTURES:
        return None
    images = images.readable(model.size_, GEOMETRY)
    images = _labelled_for(_conditions(images), images)
    ways: list[tuple[Images, Images | None]] = [(images, None), _held_out(images, model.seed)]
    return next((parts for parts in ways if parts[0].fingerprint() == kept), None)
