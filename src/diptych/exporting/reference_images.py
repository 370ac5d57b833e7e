"""The pictures on which an exported file is compared with its model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data.combine import join
from diptych.data.images import Images, ImagesLike
from diptych.data.provenance import real_part, refuse_generated
from diptych.recognition.inference.named_pictures import NamedPictures

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

MAX_PICTURES = 2000
MIN_REAL_PICTURES = 20  # with fewer, generated pictures are used instead
GENERATED_PICTURES = 256


@dataclass(frozen=True)
class ReferenceImages:
    """Pictures for the comparison.

    Attributes
    ----------
    description
        What they are, in words: "of the pictures given to check on".
    real
        Whether they are real pictures rather than generated ones.
    fresh
        (N,) bool: those that the model was not fitted on, as far as is known.
    """

    images: Images
    description: str
    real: bool
    fresh: NDArray[np.bool_]

    def __getitem__(self, rows: Iterable[int]) -> "ReferenceImages":
        """A subset, by row."""
        subset = list(rows)
        return ReferenceImages(self.images[subset], self.description, self.real, self.fresh[subset])


def reference_images(recognizer: "Recognizer", check: ImagesLike | None) -> ReferenceImages:
    """Up to 2,000 pictures for the comparison.

    Those of ``check``; if it is ``None``, the validation pictures and then the training pictures that the model names,
    as far as their files are still the same; if too few are, generated ones.

    Raises
    ------
    DataError
        There are no pictures at ``check``, or one of them is generated.
    """
    if check is not None:
        images = Images.of(check, "none")
        refuse_generated(images, "The check of an exported file")
        subset = _spread_subset(images)
        return ReferenceImages(subset, "of the pictures given to check on", True, np.ones(len(subset), bool))
    named = [recognizer.validated_on()]
    named += [recognizer.embedding_index_.pictures] if recognizer.embedding_index_ else []
    existing = [images for pictures in _first_pictures(named) for images in pictures.existing()]
    combined = real_part(join(existing)) if existing else None
    if combined is not None and len(combined) >= MIN_REAL_PICTURES:
        fresh = np.isin(combined.paths, named[0].paths())
        which = "validation" if fresh.all() else "training and validation"
        return ReferenceImages(combined, f"of the model's {which} pictures, known by their contents", True, fresh)
    images = generated_images(recognizer.size_)
    description = "generated pictures, since no real ones were available"
    return ReferenceImages(images, description, False, np.ones(len(images), bool))


def generated_images(size: int) -> Images:
    """Random pictures of several sizes with edges and colours at every scale, the same ones each time."""
    rng = np.random.default_rng(0)
    pixels = []
    for _ in range(GENERATED_PICTURES):
        height, width = (int(side) for side in rng.integers(max(8, size // 2), 3 * size, 2))
        levels = np.zeros((height, width, 3))
        for scale in (2, 5, 13, 34):
            grid = rng.normal(size=(scale, scale, 3))
            rows, columns = (np.arange(side) * scale // side for side in (height, width))
            levels += grid[rows][:, columns]
        pixels.append(np.clip(128 + 40 * levels, 0, 255).astype(np.uint8))
    return Images.from_arrays(pixels)


def _spread_subset(images: Images) -> Images:
    """At most ``MAX_PICTURES`` of the pictures, evenly spread."""
    return images[np.unique(np.linspace(0, len(images) - 1, MAX_PICTURES).astype(np.int64))]


def _first_pictures(named: Sequence[NamedPictures]) -> Iterator[NamedPictures]:
    """The first 2,000 of these pictures."""
    left = MAX_PICTURES
    for pictures in named:
        yield pictures[:left]
        left = max(0, left - len(pictures))
