"""The two sides of a score: made pictures, and the real ones that they are judged against; both at one size."""

import time
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.engine import machine
from diptych.errors import DataError
from diptych.recognition.datasets import evaluation_part
from diptych.synthesis.datasets import random_subset, train_part, training_split

if TYPE_CHECKING:
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

GEOMETRY: Geometry = "crop"  # as synthesizers are fitted
FEWEST = 20  # pictures a side
LARGEST_SIDE = 128  # px
MOST = {"cpu": 2_000, "mps": 2_000, "cuda": 10_000}  # pictures a side
MOST_OF_MANY_CALLS = 500  # made on a processor by a model that runs its network many times a picture
MOST_LESSONS = 10_000  # labelled pictures that a judge is trained on
MOST_TRAINING = 50_000  # training pictures that copies are looked for among
ENOUGH_ASIDE = 1_000  # real pictures from which on half of them can be spared for training a judge
ENOUGH_HELD = 50  # pictures kept back at training that can stand for real ones


@dataclass(frozen=True)
class GeneratedInput:
    """Made pictures (``images``) of ``size`` px, and the seconds that they took if a model made them for this."""

    images: Images
    size: int
    seconds: float | None


@dataclass
class RealInput:
    """Real pictures.

    Attributes
    ----------
    images
        What the made ones are judged against.
    training
        What the model was trained on; ``None`` if unknown.
    aside
        Labelled ones that are not scored, as squares like these; ``None`` if there are none.
    unseen
        Whether ``images`` were not trained on, as far as is known.
    notes
        What a person should know of this.
    """

    images: Images
    training: Images | None = None
    aside: Images | None = None
    unseen: bool = True
    notes: list[str] = field(default_factory=list)


def sample_input(model: "GAN | VAE | Flow", number: int | None, seed: int) -> GeneratedInput:
    """Let a synthesizer make pictures; ``number`` ``None``: as many as the machine makes in reasonable time."""
    kind = machine.device().type
    most = MOST.get(kind, MOST["cpu"]) if kind == "cuda" or model.calls <= 2 else MOST_OF_MANY_CALLS
    started = time.monotonic()
    images = model.sample(number or most, seed=seed)
    return GeneratedInput(images, model.size_, time.monotonic() - started)


def image_input(images: Images, number: int | None, seed: int) -> GeneratedInput:
    """Take pictures that something else has made.

    Raises
    ------
    DataError
        They are too few.
    """
    # `diptych sample` lays a sheet of all pictures beside them.
    sheets = np.array([PurePath(path).name == "grid.png" for path in images.paths], bool)
    images = images[~sheets] if sheets.any() and not sheets.all() else images
    sides = images.dimensions().min(1)
    size = int(min(LARGEST_SIDE, max(8, np.median(sides[sides > 0]) if (sides > 0).any() else LARGEST_SIDE)))
    images = random_subset(images, number or MOST.get(machine.device().type, MOST["cpu"]), seed)
    return GeneratedInput(square_images(images, size, "made"), size, None)


def real_input(
    against: Images, seen: Images | None, model: "GAN | VAE | Flow | None", size: int, seed: int
) -> RealInput:
    """Sort the real pictures into those to judge against, those trained on, and those to spare.

    Raises
    ------
    DataError
        They are too few.
    """
    found = _known(against, model) if seen is None else None
    if found is None:
        sides = RealInput(evaluation_part(against), None if seen is None else train_part(seen))
        if sides.training is not None:
            _part(sides, sides.training)
    else:
        sides = found
    most = MOST.get(machine.device().type, MOST["cpu"])
    if sides.training is not None and sides.unseen:
        sides.aside = sides.training
    elif sides.images.classes and len(sides.images) >= ENOUGH_ASIDE:
        share = max(0.5, 1 - most / len(sides.images))
        sides.aside, sides.images = sides.images.split(share, 1 - share, seed=seed)
    if sides.aside is not None:
        lessons = _labelled(random_subset(sides.aside, MOST_LESSONS, seed).readable(size, GEOMETRY))
        sides.aside = None if lessons is None else square_images(lessons, size)
    sides.images = square_images(random_subset(sides.images, most, seed), size, "real")
    if sides.training is not None:
        if len(sides.training) > MOST_TRAINING:
            among = f"{MOST_TRAINING:,} of the {len(sides.training):,} training pictures"
            sides.notes.append(f"Copies were looked for among {among}.")
        sides.training = random_subset(sides.training, MOST_TRAINING, seed).readable(size, GEOMETRY)
    return sides


def square_images(images: Images, size: int, what: str = "real") -> Images:
    """The readable pictures as squares of ``size`` px, their largest centred square resized.

    Both sides come to one size in one way before anything looks at them; else how they were resized would be judged.
    """
    images = images.readable(size, GEOMETRY)
    if len(images) < FEWEST:
        raise DataError(
            f"There are {len(images)} {what} pictures; a score needs at least {FEWEST} a side. Add pictures."
        )
    pixels = images.pixels(size, GEOMETRY).permute(0, 2, 3, 1).contiguous().numpy()
    return Images.from_arrays(
        pixels, images.labels, classes=images.classes, origins=images.origins, paths=images.paths.tolist()
    )


def _known(against: Images, model: "GAN | VAE | Flow | None") -> RealInput | None:
    """Where the pictures given are those that the model was fitted on: those for tests or held back, and the others."""
    parts = None if model is None else training_split(against, model)
    if parts is None:
        return None
    training, held = parts
    if (np.asarray(against.groups.get("split", [])) == "test").any():
        return RealInput(evaluation_part(against), training)
    if held is not None and len(held) >= ENOUGH_HELD:
        note = (
            f"These are the pictures that the model was given to learn from. It is judged against the {len(held):,} "
            "that were kept back then; name other pictures, more of them, to be surer."
        )
        return RealInput(held, training, notes=[note])
    note = (
        "The real pictures given are those that the model was trained on, so that one that copies them would score "
        "best. Name pictures that it has not seen."
    )
    return RealInput(training, training, unseen=False, notes=[note])


def _part(sides: RealInput, seen: Images) -> None:
    """Take pictures that were trained on out of those to judge against."""
    known = np.isin(duplicates.content_digests(sides.images), _digests(seen))
    if not known.any():
        return
    if (~known).sum() >= ENOUGH_HELD:
        sides.images = sides.images[~known]
        sides.notes.append(
            f"{int(known.sum()):,} of the real pictures given are training pictures too, and were left out."
        )
        return
    sides.unseen = False
    sides.notes.append(
        "The real pictures given are training pictures, so that a model that copies them would score best. Name "
        "pictures that it has not seen."
    )


def _digests(images: Images) -> NDArray[np.uint64]:
    digests = duplicates.content_digests(images)
    return np.asarray(digests[digests != 0])  # 0: could not be read


def _labelled(images: Images) -> Images | None:
    """Those with a label; ``None`` where labels cannot be learned from."""
    if images.multi_label or len(images.classes) < 2:
        return None
    images = images[images.labels >= 0]
    return images if len(images) >= FEWEST and sum(count > 0 for count in images.counts().values()) > 1 else None
