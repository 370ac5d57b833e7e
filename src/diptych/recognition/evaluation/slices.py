"""Slices of low accuracy: quarters of the pictures by a property, and the groups of their metadata."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.metrics.intervals import difference_interval
from diptych.recognition.evaluation.image_properties import image_properties
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Report, Score, Table

MIN_PICTURES = 50  # in a slice and outside it, under which nothing is concluded
RANGES = 4  # of a property, with about equally many pictures
MAX_GROUPS = 20  # of a column; one with more identifies pictures rather than groups
MAX_MEASURED_BYTES = 120_000_000  # of pixels whose properties are measured
ALPHA = 0.05  # the chance of any finding if all slices have the same accuracy
# What the pictures at either end of a property are called.
EXTREMES = {
    "brightness": ("darkest", "brightest"),
    "contrast": ("lowest-contrast", "highest-contrast"),
    "sharpness": ("blurriest", "sharpest"),
    "colourfulness": ("least colourful", "most colourful"),
    "aspect ratio": ("narrowest", "widest"),
    "resolution": ("smallest", "largest"),
}

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """A part of the pictures with something in common.

    Attributes
    ----------
    name, values
        What it is formed by and the values inside, such as "brightness" and "0.1–0.3", or "camera" and "phone".
    words
        The slice in a sentence, such as "on the darkest pictures (brightness 0.1–0.3)".
    rows, others
        The rows of the pictures inside, and of those that they are compared with.
    """

    name: str
    values: str
    words: str
    rows: NDArray[np.int64]
    others: NDArray[np.int64]


def find_failing_slices(images: Images, correct: Mask, size: int) -> Report:
    """The accuracy of each slice, with findings on those that are worse than the other pictures beyond chance.

    Slices are quarters by each of :func:`image_properties`, and the groups of each metadata column. A slice is a
    finding if its accuracy is lower than that of all other pictures even at the end of the interval of their
    difference, which is widened for the number of slices compared (Bonferroni): if all slices were equal, one report
    in twenty would have any finding.

    Parameters
    ----------
    correct
        (N,) bool: whether each picture was predicted correctly.
    size
        Pixels a side at which properties are measured.
    """
    ranges, groups = list(_ranges(images, size)), list(_groups(images))
    report = Report("Accuracy by slice", findings=_findings(ranges + groups, correct))
    for caption, column, slices in (
        ("Accuracy by image property", "property", ranges),
        ("Accuracy by metadata group", "column", groups),
    ):
        if slices:
            rows = [[part.name, part.values, len(part.rows), _accuracy(correct[part.rows])] for part in slices]
            report.tables[caption] = Table([column, "values", "pictures", "accuracy"], rows)
    if not report.findings:
        report.rare = set(report.tables)
    return report


def _ranges(images: Images, size: int) -> Iterator[Slice]:
    """Quarters of the pictures by each property; thirds or halves of fewer; nothing for less than a hundred."""
    measurable = min(len(images), max(1, MAX_MEASURED_BYTES // (3 * size * size)))
    measured = np.unique(np.linspace(0, len(images) - 1, measurable).astype(np.int64))
    count = min(RANGES, len(measured) // MIN_PICTURES)
    if count < 2:
        return
    for name, values in image_properties(images[measured], size).items():
        edges = np.unique(np.quantile(values, np.arange(1, count) / count, method="nearest"))
        bins = np.searchsorted(edges, values)
        parts = [bins == i for i in np.unique(bins)]
        if len(parts) > 1:
            ranges = _range_texts([values[part] for part in parts])
            for i, (part, text) in enumerate(zip(parts, ranges, strict=True)):
                words = _range_words(name, text, i, len(parts))
                yield Slice(name, text, words, measured[part], measured[~part])


def _groups(images: Images) -> Iterator[Slice]:
    """The groups of each metadata column with 2 to 20 of them."""
    for column, values in images.groups.items():
        names = np.unique(values.astype(np.str_))
        if 2 <= len(names) <= MAX_GROUPS:
            for name in names.tolist():
                inside = values.astype(np.str_) == name
                words = f"on pictures whose {column} is {name}"
                yield Slice(column, name, words, np.flatnonzero(inside), np.flatnonzero(~inside))


def _findings(slices: list[Slice], correct: Mask) -> list[str]:
    """Sentences on the slices with a lower accuracy than the other pictures, the worst first."""
    compared = [part for part in slices if min(len(part.rows), len(part.others)) >= MIN_PICTURES]
    z = NormalDist().inv_cdf(1 - ALPHA / (2 * max(1, len(compared))))
    findings = []
    for part in compared:
        inside, outside = correct[part.rows], correct[part.others]
        low, high = difference_interval(int(inside.sum()), len(inside), int(outside.sum()), len(outside), z)
        if high < 0:
            sentence = (
                f"Accuracy is lower {part.words}: {inside.mean():.1%} of {len(inside)}, against {outside.mean():.1%} "
                f"elsewhere (a difference of {-high:.1%} to {-low:.1%})."
            )
            findings.append((inside.mean() - outside.mean(), sentence))
    return [sentence for _, sentence in sorted(findings)]


def _accuracy(correct: Mask) -> Score:
    return share_score(int(correct.sum()), len(correct))


def _range_words(name: str, text: str, i: int, count: int) -> str:
    """Range ``i`` of ``count`` in a sentence; the first and the last by their extremes."""
    if i in (0, count - 1):
        return f"on the {EXTREMES[name][min(i, 1)]} pictures ({name} {text})"
    return f"on pictures with {name} {text}"


def _range_texts(parts: list[NDArray[np.float64]]) -> list[str]:
    """The range of each part, with as many digits as distinguish the ends of the narrowest."""
    ends = [(float(part.min()), float(part.max())) for part in parts]
    narrowest = min((high - low for low, high in ends if high > low), default=1.0)
    digits = max(0, -math.floor(math.log10(narrowest)))
    texts = [(f"{low:,.{digits}f}", f"{high:,.{digits}f}") for low, high in ends]
    return [low if low == high else f"{low}–{high}" for low, high in texts]
