"""A first look at a set of pictures: what is there, and what would spoil training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.labels import as_names
from diptych.data.sources.base import several
from diptych.report import Report, Table

if TYPE_CHECKING:
    from diptych.data.images import Images

#: A class of fewer pictures than this is hard to learn and harder to judge.
FEW_A_CLASS = 20
#: The largest class may have this many times the pictures of the smallest before it is worth a word.
IMBALANCE = 3.0
#: Pictures with a side of fewer pixels hold little to see.
SMALL_SIDE = 16
_ROWS, _GRID_CLASSES, _GRID_COLUMNS, _GRID_PIXELS = 50, 12, 8, 64

Pairs = NDArray[np.int64]


def inspect(images: "Images") -> Report:
    """Count, measure and decode every picture, and look for copies.

    Returns
    -------
    A report: ``facts`` for programs, ``findings`` as sentences with their cures, tables, and thumbnails.
    """
    pairs = duplicates.pairs(images)  # decodes everything, so that all below knows what cannot be read
    sizes = images.dimensions()
    good = sizes[:, 0] > 0
    unreadable = _unreadable(images)
    exact = _exact(images, pairs)
    near = pairs[~exact]
    report = Report(f"Inspection of {len(images):,} pictures")
    report.facts = _facts(images, sizes[good], len(unreadable), pairs[exact], near)
    report.findings = [
        *_about_reading(images, unreadable),
        *_about_classes(images, good),
        *_about_copies(images, pairs[exact], near),
        *_about_sizes(images, sizes),
    ]
    report.tables = _tables(images, sizes[good], unreadable, pairs[exact], near)
    report.figures = _figures(images, good)
    if not report.findings:
        report.findings = ["Nothing was found that would spoil training."]
    return report


def _unreadable(images: "Images") -> list[tuple[str, str]]:
    """Path and reason of everything that was left out or cannot be decoded."""
    from diptych.data.reading import errors

    known = {str(error): error for error in [*errors(images._sources, images._place).values(), *images.skipped]}
    return [(error.path, error.reason) for error in known.values()]


def _exact(images: "Images", pairs: Pairs) -> NDArray[np.bool_]:
    digests = duplicates.exact(images)
    return np.asarray(digests[pairs[:, 0]] == digests[pairs[:, 1]])


def _facts(images: "Images", sizes: NDArray[Any], unreadable: int, exact: Pairs, near: Pairs) -> dict[str, Any]:
    counts = images.counts()
    shorter = sizes.min(1) if len(sizes) else np.zeros(1, np.int64)
    labelled = images.labels.any(1) if images.multi_label else images.labels >= 0
    return {
        "pictures": len(images),
        "classes": len(images.classes),
        "counts": counts,
        "unlabelled": int((~labelled).sum()),
        "unreadable": unreadable,
        "exact_copies": len(exact),
        "near_duplicates": len(near),
        "imbalance": _imbalance(counts),
        "shorter_side": {
            "smallest": int(shorter.min()),
            "median": float(np.median(shorter)),
            "largest": int(shorter.max()),
        },
    }


def _imbalance(counts: dict[str, int]) -> float | None:
    """Pictures of the largest class over those of the smallest; None without classes or with an empty one."""
    return max(counts.values()) / min(counts.values()) if counts and min(counts.values()) else None


def _about_reading(images: "Images", unreadable: Sequence[tuple[str, str]]) -> list[str]:
    if not unreadable:
        return []
    told = several([f"{path} ({reason})" for path, reason in unreadable])
    return [f"{_count(len(unreadable), 'file')} cannot be used and will be left out: {told}. Replace or remove them."]


def _about_classes(images: "Images", good: NDArray[np.bool_]) -> list[str]:
    counts = images[good].counts()
    if not counts:
        return ["No picture has a label. A recognizer needs classes: sort the pictures into one folder for each."]
    told = []
    if len(counts) == 1:
        name = next(iter(counts))
        told.append(
            f"There is only one class, {name}. A recognizer needs at least two: add a folder of other pictures."
        )
    few = [f"{name} ({count})" for name, count in counts.items() if count < FEW_A_CLASS]
    if few:
        told.append(
            f"{_count(len(few), 'class', 'classes')} of fewer than {FEW_A_CLASS} readable pictures: {several(few)}. "
            "Scores will be uncertain; add pictures if you can."
        )
    ratio = _imbalance(counts)
    if ratio is not None and ratio > IMBALANCE:
        most, least = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
        told.append(
            f"{most} has {ratio:.1f} times as many pictures as {least}. Add pictures of {least}, and judge by "
            "macro F1 rather than accuracy."
        )
    return told


def _about_copies(images: "Images", exact: Pairs, near: Pairs) -> list[str]:
    told = []
    both = np.concatenate([exact, near])
    labels = as_names(images.labels, images.classes)
    clash = [(a, b) for a, b in both.tolist() if labels[a] and labels[b] and labels[a] != labels[b]]
    if clash:
        a, b = clash[0]
        told.append(
            f"{_count(len(clash), 'pair')} of copies with different labels, such as {images.paths[a]} "
            f"({', '.join(labels[a])}) and {images.paths[b]} ({', '.join(labels[b])}). Correct the wrong one."
        )
    if "split" in images.groups:
        side = images.groups["split"]
        leaks = [(a, b) for a, b in both.tolist() if side[a] != side[b]]
        if leaks:
            a, b = leaks[0]
            told.append(
                f"{_count(len(leaks), 'pair')} of copies across {side[a]} and {side[b]}, such as {images.paths[a]} "
                f"and {images.paths[b]}: scores will look too good. Remove one of each."
            )
    for pairs, word in ((exact, "the same file as another"), (near, "another picture but for size or encoding")):
        if len(pairs):
            a, b = pairs[0].tolist()
            told.append(
                f"{_count(len(pairs), 'picture is', 'pictures are')} {word}, such as {images.paths[b]} and "
                f"{images.paths[a]}. A split keeps them on one side; removing one of them costs nothing."
            )
    return told


def _about_sizes(images: "Images", sizes: NDArray[np.int64]) -> list[str]:
    small = np.flatnonzero((sizes[:, 0] > 0) & (sizes.min(1) < SMALL_SIDE))
    if not len(small) or len(small) == len(sizes):
        return []  # where every picture is tiny, that is how the set was made
    told = several([f"{images.paths[i]} ({sizes[i, 0]} x {sizes[i, 1]})" for i in small])
    return [
        f"{_count(len(small), 'picture')} under {SMALL_SIDE} pixels on a side: {told}. Little can be seen in them; "
        "consider removing them."
    ]


def _tables(
    images: "Images", sizes: NDArray[Any], unreadable: Sequence[tuple[str, str]], exact: Pairs, near: Pairs
) -> dict[str, Table]:
    counts = images.counts()
    tables = {}
    if counts:
        rows = [[name, count, f"{count / max(len(images), 1):.1%}"] for name, count in counts.items()]
        tables["Pictures of each class"] = Table(["class", "pictures", "share"], rows)
    if len(sizes):
        measured = {"smallest": sizes.min(0), "median": np.median(sizes, 0), "largest": sizes.max(0)}
        rows = [[name, *(int(value) for value in pair)] for name, pair in measured.items()]
        tables["Size in pixels"] = Table(["", "width", "height"], rows)
    if unreadable:
        tables[_capped("Files left out", len(unreadable))] = Table(
            ["file", "reason"], [list(row) for row in unreadable[:_ROWS]]
        )
    for title, pairs in (("Exact copies", exact), ("Near-duplicates", near)):
        if len(pairs):
            rows = [[str(images.paths[a]), str(images.paths[b])] for a, b in pairs[:_ROWS].tolist()]
            tables[_capped(title, len(pairs))] = Table(["picture", "and"], rows)
    return tables


def _figures(images: "Images", good: NDArray[np.bool_]) -> dict[str, bytes]:
    """Draw the counts, and the first pictures of each class."""
    from diptych.report.figures import bars, grid

    figures = {}
    if len(images.classes) > 1:
        figures["Pictures of each class"] = bars(images.counts())
    rows = [("Pictures", np.flatnonzero(good))] if not images.classes else _by_class(images, good)
    for name, members in rows[:_GRID_CLASSES]:
        if len(members):
            shown = images[members[:_GRID_COLUMNS]]
            pictures = np.stack([_thumbnail(shown, i) for i in range(len(shown))])
            figures[name] = grid(pictures, columns=_GRID_COLUMNS)
    return figures


def _by_class(images: "Images", good: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.int64]]]:
    has = images.labels.T if images.multi_label else images.labels == np.arange(len(images.classes))[:, None]
    return [(name, np.flatnonzero(row & good)) for name, row in zip(images.classes, has, strict=True)]


def _thumbnail(images: "Images", i: int) -> NDArray[np.uint8]:
    from diptych.data.decode import square

    return square(images.picture(i), _GRID_PIXELS, "crop")


def _capped(title: str, count: int) -> str:
    return title if count <= _ROWS else f"{title} (the first {_ROWS} of {count:,})"


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"
