"""Where a recognizer fails: how often it is right by what pictures are like, and by the groups that they come from."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.metrics.intervals import difference
from diptych.recognition.evaluation.image_properties import image_properties
from diptych.recognition.evaluation.shares import share_score
from diptych.report import Report, Score, Table

ENOUGH = 50  # pictures on either side, under which nothing is concluded
RANGES = 4  # of a property, with about as many pictures each
MOST_GROUPS = 20  # of a column; one with more tells pictures apart rather than groups
MEASURED_BYTES = 120_000_000  # of pixels that are looked at
DOUBT = 0.05  # the chance that any of all findings is none

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """Some of the pictures, as those whose ``about`` "brightness" is ``words`` "0.1 to 0.3", and those they are not."""

    about: str
    words: str
    rows: NDArray[np.int64]
    others: NDArray[np.int64]


def find_failing_slices(images: Images, right: Mask, size: int) -> Report:
    """How often pictures of each kind were told right, (N,) bool; what it finds holds beyond chance.

    Kinds are quarters by each of :func:`image_properties`, and the groups of each metadata column. A finding is
    told where accuracy is lower than on all other pictures even by the interval of their difference, which is widened
    for the number of kinds that were compared (Bonferroni): were all kinds alike, one report in twenty would tell any.
    """
    ranged, grouped = list(_ranges(images, size)), list(_groups(images))
    part = Report("Where it fails", findings=_findings(ranged + grouped, right))
    for caption, kinds in (("By what the pictures are like", ranged), ("By the groups of the metadata", grouped)):
        if kinds:
            rows = [[kind.about, kind.words, len(kind.rows), _accuracy(right[kind.rows])] for kind in kinds]
            part.tables[caption] = Table(["", "of", "pictures", "accuracy"], rows)
    return part


def _ranges(images: Images, size: int) -> Iterator[Slice]:
    """Quarters of the pictures by each property; halves or thirds of fewer, none of less than a hundred."""
    most = min(len(images), max(1, MEASURED_BYTES // (3 * size * size)))
    looked_at = np.unique(np.linspace(0, len(images) - 1, most).astype(np.int64))
    count = min(RANGES, len(looked_at) // ENOUGH)
    if count < 2:
        return
    for name, values in image_properties(images[looked_at], size).items():
        edges = np.unique(np.quantile(values, np.arange(1, count) / count, method="nearest"))
        place = np.searchsorted(edges, values)
        parts = [place == i for i in np.unique(place)]
        if len(parts) > 1:
            for part, words in zip(parts, _words([values[part] for part in parts]), strict=True):
                yield Slice(name, words, looked_at[part], looked_at[~part])


def _groups(images: Images) -> Iterator[Slice]:
    """The groups of each metadata column that has a few."""
    for column, values in images.groups.items():
        names = np.unique(values.astype(np.str_))
        if 2 <= len(names) <= MOST_GROUPS:
            for name in names.tolist():
                inside = values.astype(np.str_) == name
                yield Slice(column, name, np.flatnonzero(inside), np.flatnonzero(~inside))


def _findings(kinds: list[Slice], right: Mask) -> list[str]:
    """Sentences on the kinds that fail more than the other pictures do, the worst first."""
    judged = [kind for kind in kinds if min(len(kind.rows), len(kind.others)) >= ENOUGH]
    z = NormalDist().inv_cdf(1 - DOUBT / (2 * max(1, len(judged))))
    told = []
    for kind in judged:
        here, there = right[kind.rows], right[kind.others]
        low, high = difference(int(here.sum()), len(here), int(there.sum()), len(there), z)
        if high < 0:
            sentence = (
                f"Where {kind.about} is {kind.words} it fails more: {here.mean():.1%} of {len(here)} pictures are told "
                f"right, {there.mean():.1%} of the others (a difference of {-high:.1%} to {-low:.1%})."
            )
            told.append((here.mean() - there.mean(), sentence))
    return [sentence for _, sentence in sorted(told)]


def _accuracy(right: Mask) -> Score:
    return share_score(int(right.sum()), len(right))


def _words(parts: list[NDArray[np.float64]]) -> list[str]:
    """The range of each part, all in as many digits as it takes to tell the ends of the narrowest apart."""
    ends = [(float(part.min()), float(part.max())) for part in parts]
    narrowest = min((high - low for low, high in ends if high > low), default=1.0)
    digits = max(0, -math.floor(math.log10(narrowest)))
    told = [(f"{low:,.{digits}f}", f"{high:,.{digits}f}") for low, high in ends]
    return [low if low == high else f"{low}–{high}" for low, high in told]
