"""The inputs of a score: generated pictures, and the real ones that they are compared with; both at one size."""

import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.decode import Geometry
from diptych.data.images import Images
from diptych.data.provenance import known_origins, real_part, refuse_generated, sheet_facts
from diptych.data.sources.arrays import from_arrays
from diptych.engine import machine
from diptych.errors import DataError
from diptych.interplay.budget import SAMPLING_SHARE, TRIAL_PICTURES, Budget
from diptych.marks import Generated
from diptych.recognition.datasets import evaluation_part
from diptych.synthesis.datasets import match_training_split, random_subset, training_part

if TYPE_CHECKING:
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

GEOMETRY: Geometry = "crop"  # as synthesizers are fitted
MIN_PICTURES = 20  # generated ones, and real ones
MIN_SIDE, MAX_SIDE = 8, 128  # px
MAX_ASKED = 64  # pictures whose marks are read for what generated all of them
MAX_SIDES_READ = 2_000  # pictures whose size is read to find the usual one
OTHER_SIZE = 1.5  # times the side from which on two sizes count as different
MAX_PICTURES = {"cpu": 2_000, "mps": 2_000, "cuda": 10_000}  # generated ones, and real ones
MAX_OF_MANY_CALLS = 500  # sampled on a CPU from a model that runs its network many times per picture
MAX_AUXILIARY = 10_000  # labelled pictures that a feature extractor is trained on
MAX_TRAINING = 50_000  # training pictures that are searched for copies
MIN_TO_DIVIDE = 1_000  # real pictures from which on half of them are spared to train a feature extractor
MIN_HELD_OUT = 50  # pictures held out of training that suffice as the real ones
NOT_HELD_OUT = (
    "The real pictures are training pictures, so a model that copies them would score best. Give pictures that it was "
    "not trained on."
)


@dataclass(frozen=True)
class GeneratedInput:
    """Generated pictures.

    Attributes
    ----------
    images, size
        Squares of ``size`` px.
    seconds
        That sampling a picture took; ``None``: they were not sampled here.
    notes
        What a person should know of their size.
    """

    images: Images
    size: int
    seconds: float | None
    notes: list[str]


@dataclass
class RealInput:
    """Real pictures.

    Attributes
    ----------
    images
        Those that the generated ones are compared with.
    training
        What the model was trained on; ``None`` if unknown.
    auxiliary
        Labelled ones that are not scored, as squares like these; ``None`` if there are none.
    held_out
        Whether ``images`` were not trained on, as far as is known.
    notes
        What a person should know of this.
    """

    images: Images
    training: Images | None = None
    auxiliary: Images | None = None
    held_out: bool = True
    notes: list[str] = field(default_factory=list)


def sample_input(
    model: "GAN | VAE | Flow", against: Images, number: int | None, seed: int, budget: Budget
) -> GeneratedInput:
    """Sample from a synthesizer; ``number`` ``None``: as many pictures as the machine samples in reasonable time."""
    device = machine.device().type
    default = _max_pictures() if device == "cuda" or model.calls <= 2 else MAX_OF_MANY_CALLS
    most = number or default
    allowed = SAMPLING_SHARE * budget.left
    started = time.monotonic()
    images = model.sample(most if budget.minutes is None else min(most, TRIAL_PICTURES), seed=seed)
    seconds = (time.monotonic() - started) / len(images)
    rest = min(most - len(images), int(allowed / seconds) - len(images)) if budget.minutes else 0
    if rest > 0:
        images = images + model.sample(rest, seed=seed + len(images))
    if len(images) < most:
        budget.left_out.append(f"sampling more than {len(images):,} of {most:,} pictures")
    real_side = _usual_side(against)
    if real_side >= model.size_:  # the usual case, which the model's size was chosen for
        return GeneratedInput(images, model.size_, seconds, [])
    size = max(MIN_SIDE, real_side)
    return GeneratedInput(square_images(images, size), size, seconds, _size_notes(model.size_, real_side, size))


def image_input(images: Images, against: Images, number: int | None, seed: int) -> GeneratedInput:
    """Take pictures that another program generated, at the size of the smaller side, so that none is enlarged.

    Raises
    ------
    DataError
        They are too few.
    """
    # `diptych sample` puts a grid of all pictures beside them.
    grids = np.array([PurePath(path).name == "grid.png" for path in images.paths], bool)
    images = images[~grids] if grids.any() and not grids.all() else images
    generated_side, real_side = _usual_side(images), _usual_side(against)
    size = min(MAX_SIDE, max(MIN_SIDE, min(generated_side, real_side)))
    images = random_subset(images, number or _max_pictures(), seed)
    notes = _size_notes(generated_side, real_side, size)
    return GeneratedInput(square_images(images, size, "generated"), size, None, notes)


def real_input(
    against: Images, trained_on: Images | None, model: "GAN | VAE | Flow | None", size: int, seed: int
) -> RealInput:
    """Divide the real pictures into those to compare with, those trained on, and auxiliary ones.

    Raises
    ------
    DataError
        They are too few, or one of those to compare with is generated.
    """
    real = _from_fitting_data(against, model) if trained_on is None else None
    if real is None:
        real = RealInput(evaluation_part(against), None if trained_on is None else training_part(trained_on))
        if real.training is not None:
            _leave_out_training(real, real.training)
    refuse_generated(real.images, "The real side of a score")
    _choose_auxiliary(real, size, seed)
    real.images = square_images(random_subset(real.images, _max_pictures(), seed), size, "real")
    if real.training is not None:
        if len(real.training) > MAX_TRAINING:
            subset = f"{MAX_TRAINING:,} of the {len(real.training):,} training pictures"
            real.notes.append(f"Copies were searched for among {subset}.")
        real.training = random_subset(real.training, MAX_TRAINING, seed).readable(size, GEOMETRY)
    return real


def square_images(images: Images, size: int, kind: str = "real") -> Images:
    """The readable pictures as squares of ``size`` px, their largest centred square resized.

    Real and generated pictures are resized in the same way before anything compares them; otherwise the resizing itself
    would be scored.
    """
    images = images.readable(size, GEOMETRY)
    if len(images) < MIN_PICTURES:
        raise DataError(
            f"There are {len(images)} {kind} pictures; a score needs at least {MIN_PICTURES} generated and "
            f"{MIN_PICTURES} real ones. Add pictures."
        )
    return resized(images, size)


def resized(images: Images, size: int) -> Images:
    """Readable pictures as squares of ``size`` px in memory, in the way in which synthesizers see them."""
    pixels = images.pixels(size, GEOMETRY).permute(0, 2, 3, 1).contiguous().numpy()
    source = from_arrays(
        pixels, images.labels, classes=images.classes, origins=known_origins(images), paths=images.paths.tolist()
    )
    source.generated_by = cache(lambda: sheet_facts(images[:MAX_ASKED]) or Generated("synthetic"))
    return Images.of_source(source)


def shared_pictures(generated: Images, real: RealInput) -> int:
    """How many of the generated pictures are also among the real ones, pixel for pixel at the common size."""
    known = _digests(real.images)
    if real.training is None and real.auxiliary is not None:  # a part of the same pictures
        known = np.concatenate([known, _digests(real.auxiliary)])
    return int(np.isin(duplicates.content_digests(generated), known).sum())


def _usual_side(images: Images) -> int:
    """The median of the pictures' shorter sides, in px."""
    sides = random_subset(images, MAX_SIDES_READ, 0).dimensions().min(1)
    return int(np.median(sides[sides > 0])) if (sides > 0).any() else MAX_SIDE


def _size_notes(generated_side: int, real_side: int, size: int) -> list[str]:
    """A note where the sizes of both sides differ, since sharpness then does; empty where they do not."""
    if max(generated_side, real_side) < OTHER_SIZE * min(generated_side, real_side):
        return []
    return [
        f"The sizes differ: generated pictures have {generated_side} px, real ones {real_side} px (shorter side). Both "
        f"are compared at {size} px, so what is lost or blurred beyond that size is not judged."
    ]


def _max_pictures() -> int:
    return MAX_PICTURES.get(machine.device().type, MAX_PICTURES["cpu"])


def _choose_auxiliary(real: RealInput, size: int, seed: int) -> None:
    """Set the auxiliary pictures: the training pictures, or a part of many labelled real ones."""
    if real.training is not None and real.held_out:
        real.auxiliary = real_part(real.training)
    elif real.images.classes and len(real.images) >= MIN_TO_DIVIDE:
        share = max(0.5, 1 - _max_pictures() / len(real.images))
        real.auxiliary, real.images = real.images.split(share, 1 - share, seed=seed)
    if real.auxiliary is not None:
        labelled = _labelled(random_subset(real.auxiliary, MAX_AUXILIARY, seed).readable(size, GEOMETRY))
        real.auxiliary = None if labelled is None else square_images(labelled, size)


def _from_fitting_data(against: Images, model: "GAN | VAE | Flow | None") -> RealInput | None:
    """Divide the pictures that the model was fitted on into test or held-out ones and the others.

    ``None`` where the pictures are others.
    """
    parts = None if model is None else match_training_split(against, model)
    if parts is None:
        return None
    training, held_out = parts
    if (np.asarray(against.groups.get("split", [])) == "test").any():
        return RealInput(evaluation_part(against), training)
    if held_out is not None and len(held_out) >= MIN_HELD_OUT:
        note = (
            f"These are the pictures that the model was fitted on. It is compared with the {len(held_out):,} that were "
            "held out; give other pictures, and more, for narrower intervals."
        )
        return RealInput(held_out, training, notes=[note])
    return RealInput(training, training, held_out=False, notes=[NOT_HELD_OUT])


def _leave_out_training(real: RealInput, training: Images) -> None:
    """Remove pictures that were trained on from those to compare with."""
    repeated = np.isin(duplicates.content_digests(real.images), _digests(training))
    if not repeated.any():
        return
    if (~repeated).sum() >= MIN_HELD_OUT:
        real.images = real.images[~repeated]
        real.notes.append(f"{int(repeated.sum()):,} of the real pictures are training pictures, and were left out.")
        return
    real.held_out = False
    real.notes.append(NOT_HELD_OUT)


def _digests(images: Images) -> NDArray[np.uint64]:
    digests = duplicates.content_digests(images)
    return np.asarray(digests[digests != 0])  # 0: could not be read


def _labelled(images: Images) -> Images | None:
    """The pictures with a label; ``None`` where the labels cannot be trained on."""
    if images.multi_label or len(images.classes) < 2:
        return None
    images = images[images.labels >= 0]
    classes = sum(count > 0 for count in images.counts().values())
    return images if len(images) >= MIN_PICTURES and classes > 1 else None
