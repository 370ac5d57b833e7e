"""Image quality: pictures dark, bright, blurred, empty, of an odd shape or size, tiny, or grey among coloured ones.

Darkness, brightness, blur and information are measured and rated by cleanvision, on pictures that our own decoder
has read, while it reads them; where cleanvision is not installed, these are left out.
"""

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decode import RESAMPLING
from diptych.data.inspection.issues import Issue
from diptych.data.perceptual_hash import THUMBNAIL_PIXELS, thumbnail_batches
from diptych.data.picture_set import PictureSet

#: Pictures with a side of fewer pixels show too little.
MIN_SIDE_PIXELS = 16
#: The shorter side of an odd shape is under this share of the longer one.
MIN_ASPECT = 0.35
#: Where more than this share of the pictures have an issue in common, that is how the set was made.
MAX_COMMON_SHARE = 0.2
#: The colours of a pixel of a grey picture differ by no more, of 255, on average; encoders shift them a little.
_MAX_GREY_SPREAD = 2.0
#: The values of a channel of a blank picture differ by no more; encoders shift them a little.
_MAX_BLANK_SPREAD = 2
#: Pixels of the longer side at which brightness, blur and information are measured: what cleanvision measures blur at.
_MEASURED_PIXELS = 64
#: An odd size lies beyond this multiple of the quartiles' distance (J. Tukey, "Exploratory data analysis", 1977).
_TUKEY_FENCE = 3
#: cleanvision's name of a kind, ours, and the reason in words.
_CLEANVISION_KINDS = {
    "dark": ("dark", "even its brightest parts are dark"),
    "light": ("bright", "even its darkest parts are bright"),
    "blurry": ("blurred", "it has hardly an edge"),
    "low_information": ("low information", "there is next to nothing to see in it"),
}

BLANK = "one colour all over; transparent ground is laid on white, on which white is not seen"

Measures = NDArray[np.float64]  # (N, len(COLUMNS)), NaN where not measured
COLUMNS = ("brightness_perc_99", "brightness_perc_5", "entropy", "blurriness", "blurriness_grayscale_std")


def is_available() -> bool:
    """Whether cleanvision is installed, which rates brightness, blur and information."""
    return importlib.util.find_spec("cleanvision") is not None


def empty_measures(images: PictureSet) -> Measures:
    """An array for the measures of every picture, none taken yet."""
    return np.full((len(images), len(COLUMNS)), np.nan)


@contextmanager
def measuring(images: PictureSet, into: Measures) -> Iterator[None]:
    """Measure every picture that is decoded meanwhile, and at the end those that were not."""
    measure = _cleanvision_measure()

    def observe(row: int, picture: Image.Image) -> None:
        if np.isnan(into[row, 0]):
            into[row] = measure(picture)

    with images.store.observed(observe):
        yield
        unmeasured = np.setdiff1d(np.flatnonzero(np.isnan(into[:, 0])), list(images.known_errors()))
        images.store[unmeasured].decode_again(THUMBNAIL_PIXELS, "squash")


def quality_issues(images: PictureSet, measures: Measures | None) -> list[Issue]:
    """The issues of every readable picture; ``measures`` is ``None`` where cleanvision is missing."""
    sizes = images.dimensions()
    readable = sizes[:, 0] > 0
    issues = _size_issues(sizes, readable) + _colour_issues(images, readable)
    if measures is not None and readable.any():
        issues += _cleanvision_issues(measures, readable)
    counts, n = Counter(issue.kind for issue in issues), int(readable.sum())
    few = {kind for kind, count in counts.items() if n <= 4 or count <= MAX_COMMON_SHARE * n}
    return [issue for issue in issues if issue.kind in {*few, "blank"}]  # no set is made of blank pictures on purpose


def _cleanvision_measure() -> Callable[[Image.Image], list[float]]:
    """A function that measures :data:`COLUMNS` of one picture."""
    from cleanvision.issue_managers.image_property import BlurrinessProperty, BrightnessProperty, EntropyProperty

    properties = (BrightnessProperty("dark"), EntropyProperty(), BlurrinessProperty())

    def measure(picture: Image.Image) -> list[float]:
        longest = max(picture.size)
        if longest > _MEASURED_PIXELS:
            width, height = (max(1, round(side * _MEASURED_PIXELS / longest)) for side in picture.size)
            picture = picture.resize((width, height), RESAMPLING, reducing_gap=2.0)
        values: dict[str, Any] = {}
        for image_property in properties:
            values |= image_property.calculate(picture)
        return [float(values[name]) for name in COLUMNS]

    return measure


def _cleanvision_issues(measures: Measures, readable: NDArray[np.bool_]) -> list[Issue]:
    """Issues by cleanvision's own thresholds."""
    import pandas as pd
    from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    rows = np.flatnonzero(readable & ~np.isnan(measures[:, 0]))
    table = pd.DataFrame(measures[rows], columns=list(COLUMNS))
    manager = ImagePropertyIssueManager()
    issues = []
    for their_kind, (kind, reason) in _CLEANVISION_KINDS.items():
        image_property, settings = manager.image_properties[their_kind], manager.params[their_kind]
        raw_scores = table[image_property.score_columns]
        scores = image_property.get_scores(raw_scores=raw_scores, issue_type=their_kind, **settings)
        flagged = image_property.mark_issue(scores, their_kind, settings["threshold"]).iloc[:, 0].to_numpy()
        values = scores.iloc[:, 0].to_numpy()
        issues += [Issue(int(rows[i]), kind, reason, score=float(values[i])) for i in np.flatnonzero(flagged).tolist()]
    return issues


def _size_issues(sizes: NDArray[np.int64], readable: NDArray[np.bool_]) -> list[Issue]:
    """Pictures that are tiny, long and thin, or far larger or smaller than the rest."""
    if not readable.any():
        return []
    short, long = sizes.min(1), sizes.max(1)
    scale = np.log2(np.maximum(sizes, 1)).mean(1)
    low, high = np.percentile(scale[readable], [25, 75])
    fence = max(1.0, _TUKEY_FENCE * (high - low))  # less than twice as large or small is not odd
    issues = []
    for i in np.flatnonzero(readable).tolist():
        size = f"{sizes[i, 0]} x {sizes[i, 1]} pixels"
        if short[i] < MIN_SIDE_PIXELS:
            issues.append(Issue(i, "tiny", size, score=float(short[i])))
        elif not low - fence <= scale[i] <= high + fence:
            direction = "larger" if scale[i] > high else "smaller"
            reason = f"{size}, much {direction} than the others"
            issues.append(Issue(i, "odd size", reason, score=-float(abs(scale[i] - low))))
        if short[i] < MIN_ASPECT * long[i]:
            issues.append(Issue(i, "odd shape", size, score=float(short[i] / long[i])))
    return issues


def _colour_issues(images: PictureSet, readable: NDArray[np.bool_]) -> list[Issue]:
    """Pictures of one colour all over, such as a white drawing on a transparent ground, and pictures without colour."""
    issues: list[Issue] = []
    for rows, thumbnails in thumbnail_batches(images):
        colours = thumbnails.astype(np.int16)
        spread = (colours.max(1) - colours.min(1)).mean((1, 2))
        blank = (colours.max((2, 3)) - colours.min((2, 3))).max(1) <= _MAX_BLANK_SPREAD
        issues += [Issue(row, "blank", BLANK) for row in rows[blank & readable[rows]].tolist()]
        grey = rows[(spread <= _MAX_GREY_SPREAD) & readable[rows]]
        issues += [Issue(row, "greyscale", "no colour, among pictures in colour") for row in grey.tolist()]
    return issues
