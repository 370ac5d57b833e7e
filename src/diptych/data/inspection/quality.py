"""Odd pictures: dark, bright, blurred, empty, of an odd shape or size, tiny, or grey among coloured ones.

Darkness, brightness, blur and information are measured and judged by cleanvision, on pictures that our own decoder
has read, while it reads them; where cleanvision is not installed, these are left out.
"""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import FILTER
from diptych.data.inspection.issues import Issue
from diptych.data.perceptual_hash import THUMBNAIL, thumbnail_batches
from diptych.data.resources import workers
from diptych.errors import PictureError

if TYPE_CHECKING:
    from diptych.data.images import Images

#: Pictures with a side of fewer pixels hold little to see.
TINY_SIDE = 16
#: The shorter side of an odd shape is under this share of the longer one.
THIN = 0.35
#: Where more than this share of the pictures are alike in something, that is how the set was made.
COMMON = 0.2
#: The colours of a pixel of a grey picture differ by no more, of 255, on average; encoders shift them a little.
_GREY = 2.0
#: Pixels of the longer side at which brightness, blur and information are measured: what cleanvision measures blur at.
_MEASURED = 64
#: What cleanvision calls a kind, what we call it, and what it looks like.
_JUDGED = {
    "dark": ("dark", "even its brightest parts are dark"),
    "light": ("bright", "even its darkest parts are bright"),
    "blurry": ("blurred", "it has hardly an edge"),
    "low_information": ("low information", "there is next to nothing to see in it"),
}

Measures = NDArray[np.float64]  # (N, len(COLUMNS)), NaN where not measured
COLUMNS = ("brightness_perc_99", "brightness_perc_5", "entropy", "blurriness", "blurriness_grayscale_std")


def available() -> bool:
    """Whether cleanvision is there to judge brightness, blur and information."""
    return importlib.util.find_spec("cleanvision") is not None


@contextmanager
def measuring(images: "Images", into: Measures) -> Iterator[None]:
    """Measure every picture that is decoded meanwhile, and at the end those that were not."""
    measure = _measure()
    decoded = {number: images._sources[number].decoded for number, _, _ in images._place.by_source()}
    where = {number: np.full(len(images._sources[number]), -1, np.int64) for number in decoded}
    for number, here, rows in images._place.by_source():
        where[number][rows] = here

    def shown(number: int) -> Callable[[int, Image.Image], None]:
        def look(row: int, picture: Image.Image) -> None:
            at = where[number][row]
            if at >= 0 and np.isnan(into[at, 0]):
                into[at] = measure(picture)

        return look

    try:
        for number, held in decoded.items():
            held.look = shown(number)
        yield
        _decode(images, np.flatnonzero(np.isnan(into[:, 0])))
    finally:
        for held in decoded.values():
            held.look = None


def quality_issues(images: "Images", measures: Measures | None) -> list[Issue]:
    """Judge every readable picture; ``measures`` is ``None`` where cleanvision is missing."""
    sizes = images.dimensions()
    good = sizes[:, 0] > 0
    found = _sizes(sizes, good) + _grey(images, good)
    if measures is not None and good.any():
        found += _judged(measures, good)
    return [problem for problem in found if not _is_common(problem.kind, found, int(good.sum()))]


def _is_common(kind: str, found: list[Issue], n: int) -> bool:
    return sum(problem.kind == kind for problem in found) > COMMON * n and n > 4


def _decode(images: "Images", rows: NDArray[np.int64]) -> None:
    """Decode again what had been decoded before, and forget the pixels."""
    rows = np.setdiff1d(rows, list(images.known_errors()))

    def work(at: tuple[int, int]) -> None:
        try:
            images._sources[at[0]].decoded.one(at[1], THUMBNAIL, "squash")
        except PictureError:
            return

    with thread_pool() as executor:
        for _ in ordered_map(executor, work, images._place[rows].pairs(), ahead=64 * workers()):
            pass


def _measure() -> Callable[[Image.Image], list[float]]:
    from cleanvision.issue_managers.image_property import BlurrinessProperty, BrightnessProperty, EntropyProperty

    properties = (BrightnessProperty("dark"), EntropyProperty(), BlurrinessProperty())

    def measure(picture: Image.Image) -> list[float]:
        most = max(picture.size)
        if most > _MEASURED:
            width, height = (max(1, round(side * _MEASURED / most)) for side in picture.size)
            picture = picture.resize((width, height), FILTER, reducing_gap=2.0)
        told: dict[str, Any] = {}
        for one in properties:
            told |= one.calculate(picture)
        return [float(told[name]) for name in COLUMNS]

    return measure


def _judged(measures: Measures, good: NDArray[np.bool_]) -> list[Issue]:
    """What cleanvision's own thresholds say."""
    import pandas as pd
    from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    rows = np.flatnonzero(good & ~np.isnan(measures[:, 0]))
    table = pd.DataFrame(measures[rows], columns=list(COLUMNS))
    manager = ImagePropertyIssueManager()
    found = []
    for theirs, (kind, words) in _JUDGED.items():
        judge, settings = manager.image_properties[theirs], manager.params[theirs]
        scores = judge.get_scores(raw_scores=table[judge.score_columns], issue_type=theirs, **settings)
        flagged = judge.mark_issue(scores, theirs, settings["threshold"]).iloc[:, 0].to_numpy()
        values = scores.iloc[:, 0].to_numpy()
        found += [Issue(int(rows[i]), kind, words, score=float(values[i])) for i in np.flatnonzero(flagged).tolist()]
    return found


def _sizes(sizes: NDArray[np.int64], good: NDArray[np.bool_]) -> list[Issue]:
    """Tiny, thin, or far larger or smaller than the rest (beyond three times the quartiles' distance: Tukey 1977)."""
    if not good.any():
        return []
    short, long = sizes.min(1), sizes.max(1)
    scale = np.log2(np.maximum(sizes, 1)).mean(1)
    low, high = np.percentile(scale[good], [25, 75])
    reach = max(1.0, 3 * (high - low))  # less than twice as large or small is not odd
    found = []
    for i in np.flatnonzero(good).tolist():
        size = f"{sizes[i, 0]} x {sizes[i, 1]} pixels"
        if short[i] < TINY_SIDE:
            found.append(Issue(i, "tiny", size, score=float(short[i])))
        elif not low - reach <= scale[i] <= high + reach:
            beside = "much larger" if scale[i] > high else "much smaller"
            found.append(Issue(i, "odd size", f"{size}, {beside} than the others", score=-float(abs(scale[i] - low))))
        if short[i] < THIN * long[i]:
            found.append(Issue(i, "odd shape", size, score=float(short[i] / long[i])))
    return found


def _grey(images: "Images", good: NDArray[np.bool_]) -> list[Issue]:
    found: list[Issue] = []
    for rows, thumbnails in thumbnail_batches(images):
        colours = thumbnails.astype(np.int16)
        spread = (colours.max(1) - colours.min(1)).mean((1, 2))
        grey = rows[(spread <= _GREY) & good[rows]]
        found += [Issue(row, "greyscale", "no colour, among pictures in colour") for row in grey.tolist()]
    return found


def empty_measures(images: "Images") -> Measures:
    """Room for the measures of every picture, none taken yet."""
    return np.full((len(images), len(COLUMNS)), np.nan)
