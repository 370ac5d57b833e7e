"""The pictures that an export is proved on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.sources.builtin import BUILT_IN
from diptych.errors import DataError

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

MOST = 2000
ENOUGH = 20  # real ones; with fewer, made ones are shown, too
MADE = 256


@dataclass(frozen=True)
class ReferenceImages:
    """Pictures to compare on.

    Attributes
    ----------
    words
        What they are: "of the pictures given".
    real
        Whether they are not made ones.
    fresh
        (N,) bool: those that the model was not fitted on, as far as is known.
    """

    images: Images
    words: str
    real: bool
    fresh: NDArray[np.bool_]

    def __getitem__(self, rows: Iterable[int]) -> "ReferenceImages":
        """Some of them."""
        some = list(rows)
        return ReferenceImages(self.images[some], self.words, self.real, self.fresh[some])


def reference_images(recognizer: "Recognizer", check: Images | str | Path | None) -> ReferenceImages:
    """Up to 2,000 pictures.

    Those given; else the validation pictures and then the training pictures that the model names, as far as their
    files are still in place; else made ones.

    Raises
    ------
    DataError
        There are no pictures at ``check``.
    """
    if check is not None:
        images = check if isinstance(check, Images) else Images.open(check)
        some = _some(images)
        return ReferenceImages(some, "of the pictures given", True, np.ones(len(some), bool))
    validated_on = recognizer.validated_on()
    found = _found(validated_on + list(recognizer.embedding_index_.paths if recognizer.embedding_index_ else ()))
    if found is not None and len(found) >= ENOUGH:
        words = "of the pictures that the model was fitted and validated on"
        return ReferenceImages(found, words, True, np.isin(found.paths, validated_on))
    images = generated_images(recognizer.size_)
    return ReferenceImages(images, "made pictures, since no real ones were at hand", False, np.ones(len(images), bool))


def generated_images(size: int) -> Images:
    """Pictures of several sizes with edges and colours at every scale, the same each time."""
    draw = np.random.default_rng(0)
    pixels = []
    for _ in range(MADE):
        height, width = (int(side) for side in draw.integers(max(8, size // 2), 3 * size, 2))
        levels = np.zeros((height, width, 3))
        for scale in (2, 5, 13, 34):
            grid = draw.normal(size=(scale, scale, 3))
            rows, columns = (np.arange(side) * scale // side for side in (height, width))
            levels += grid[rows][:, columns]
        pixels.append(np.clip(128 + 40 * levels, 0, 255).astype(np.uint8))
    return Images.from_arrays(pixels)


def _some(images: Images) -> Images:
    return images[np.unique(np.linspace(0, len(images) - 1, MOST).astype(np.int64))]


def _found(names: Sequence[str]) -> Images | None:
    """Up to 2,000 of the pictures of these names (paths, "pets.parquet#17", "digits#3") that are still there."""
    names = list(dict.fromkeys(names))[:MOST]
    files = [name for name in names if Path(name).is_file()]
    found = [Images.of_files(files)] if files else []
    sets: dict[str, list[str]] = {}
    for name in set(names) - set(files):
        sets.setdefault(name.rpartition("#")[0], []).append(name)
    for place, inside in sorted(sets.items()):
        if place == "digits" or (place and place not in BUILT_IN and Path(place).exists()):
            found += _inside(place, inside)
    together = None
    for images in found:
        together = images if together is None else together + images
    return together


def _inside(place: str, names: Sequence[str]) -> list[Images]:
    """The pictures of these names in a set, if it can still be opened."""
    try:
        images = Images.open(place)
    except DataError:
        return []
    return [images[np.flatnonzero(np.isin(images.paths, list(names)))]]
