"""What the data doctor found, as a report: counts, sentences, tables and thumbnails."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.inspection.inspect import Inspection
from diptych.data.inspection.issues import KINDS, Issue
from diptych.data.inspection.thumbnails import thumbnail_figures
from diptych.data.labels import label_names
from diptych.data.sources.base import join_names
from diptych.report import Report, Table

if TYPE_CHECKING:
    from diptych.data.images import Images

#: A class of fewer pictures than this is hard to learn and harder to judge.
FEW_A_CLASS = 20
#: The largest class may have this many times the pictures of the smallest before it is worth a word.
IMBALANCE = 3.0
_ROWS, _DOUBTFUL_ROWS = 50, 120
_WORDS = {
    "low information": ("holds next to nothing to see", "hold next to nothing to see"),
    "dark": ("is dark", "are dark"),
    "bright": ("is nearly white", "are nearly white"),
    "blurred": ("is blurred", "are blurred"),
    "odd shape": ("is long and thin", "are long and thin"),
    "odd size": ("is much larger or smaller than the others", "are much larger or smaller than the others"),
    "greyscale": ("has no colour, among others in colour", "have no colour, among others in colour"),
    "outlier": ("is unlike all others", "are unlike all others"),
}

Pairs = NDArray[np.int64]


def inspection_report(found: Inspection) -> Report:
    """See :meth:`Inspection.report`."""
    images = found.images
    sizes = images.dimensions()
    good = sizes[:, 0] > 0
    pairs = duplicates.duplicate_pairs(images)
    digests = duplicates.content_digests(images)
    same = digests[pairs[:, 0]] == digests[pairs[:, 1]]
    unreadable = _unreadable(images)
    made = Report(f"Inspection of {len(images):,} pictures")
    made.facts = _facts(found, sizes[good], len(unreadable), pairs[same], pairs[~same])
    made.findings = [
        *_about_reading(unreadable),
        *_about_classes(images, good),
        *_about_copies(found, pairs[same], pairs[~same]),
        *_about_sizes(found),
        *_about_labels(found),
        *_about_oddities(found),
    ]
    made.tables = _tables(found, sizes[good], unreadable, pairs[same], pairs[~same])
    made.figures = thumbnail_figures(found)
    if not made.findings:
        made.findings = ["Nothing was found that would spoil training."]
    made.findings += found.notes
    return made


def _unreadable(images: "Images") -> list[tuple[str, str]]:
    """Path and reason of everything that was left out or cannot be decoded."""
    known = {str(error): error for error in [*images.known_errors().values(), *images.skipped]}
    return [(error.path, error.reason) for error in known.values()]


def _facts(found: Inspection, sizes: NDArray[Any], unreadable: int, exact: Pairs, near: Pairs) -> dict[str, Any]:
    images = found.images
    counts = images.counts()
    shorter = sizes.min(1) if len(sizes) else np.zeros(1, np.int64)
    labelled = images.labels.any(1) if images.multi_label else images.labels >= 0
    told: dict[str, Any] = {
        "pictures": len(images),
        "classes": len(images.classes),
        "counts": counts,
        "unlabelled": int((~labelled).sum()),
        "unreadable": unreadable,
        "exact_copies": len(exact),
        "near_duplicates": len(near),
        "mirrored_copies": int(duplicates.mirrored_pairs(images, near).sum()),
        "imbalance": _imbalance(counts),
        "shorter_side": {
            "smallest": int(shorter.min()),
            "median": float(np.median(shorter)),
            "largest": int(shorter.max()),
        },
    }
    told |= {f"copies_across_{name}s": len(pairs) for name, pairs in found.leaks.items()}
    return told | {"problems": {kind: len(found.of(kind)) for kind in KINDS if found.of(kind)}}


def _imbalance(counts: dict[str, int]) -> float | None:
    """Pictures of the largest class over those of the smallest; None without classes or with an empty one."""
    return max(counts.values()) / min(counts.values()) if counts and min(counts.values()) else None


def _about_reading(unreadable: Sequence[tuple[str, str]]) -> list[str]:
    if not unreadable:
        return []
    told = join_names([f"{path} ({reason})" for path, reason in unreadable])
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
            f"{_count(len(few), 'class', 'classes')} of fewer than {FEW_A_CLASS} readable pictures: {join_names(few)}. "
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


def _about_copies(found: Inspection, exact: Pairs, near: Pairs) -> list[str]:
    images, told = found.images, []
    both = np.concatenate([exact, near])
    labels = label_names(images.labels, images.classes)
    clash = [(a, b) for a, b in both.tolist() if labels[a] and labels[b] and labels[a] != labels[b]]
    if clash:
        a, b = clash[0]
        told.append(
            f"{_count(len(clash), 'pair')} of copies with different labels, such as {images.paths[a]} "
            f"({', '.join(labels[a])}) and {images.paths[b]} ({', '.join(labels[b])}). Correct the wrong one."
        )
    for name, pairs in found.leaks.items():
        if len(pairs):
            a, b = pairs[0].tolist()
            side = images.groups[name]
            told.append(
                f"{_count(len(pairs), 'pair')} of copies across {side[a]} and {side[b]}"
                f"{' and others' if len(np.unique(side)) > 2 else ''}, such as {images.paths[a]} and "
                f"{images.paths[b]}: if one is trained on and the other judged on, scores will look too good. "
                "Remove one of each."
            )
    turned = duplicates.mirrored_pairs(images, near)
    kinds = (
        (exact, "the same file as another"),
        (near[~turned], "another picture but for size or encoding"),
        (near[turned], "another picture's mirror image"),
    )
    for pairs, word in kinds:
        if len(pairs):
            a, b = pairs[0].tolist()
            told.append(
                f"{_count(len(pairs), 'picture is', 'pictures are')} {word}, such as {images.paths[b]} and "
                f"{images.paths[a]}. A split keeps them on one side; removing one of them costs nothing."
            )
    return told


def _about_sizes(found: Inspection) -> list[str]:
    tiny = found.of("tiny")
    if not tiny:
        return []
    told = join_names([f"{found.images.paths[problem.row]} ({problem.reason})" for problem in tiny])
    return [
        f"{_count(len(tiny), 'picture is', 'pictures are')} tiny: {told}. Little can be seen in them; consider "
        "removing them."
    ]


def _about_labels(found: Inspection) -> list[str]:
    doubtful = found.of("doubtful label")
    if not doubtful:
        return []
    first = doubtful[0]
    return [
        f"{_count(len(doubtful), 'label')} may be wrong, the most doubtful first: {found.images.paths[first.row]} is "
        f"{first.reason}. Look at them, from the top until most are right after all; many will be hard pictures with "
        "the right label."
    ]


def _about_oddities(found: Inspection) -> list[str]:
    told = []
    for kind, (one, many) in _WORDS.items():
        odd = found.of(kind)
        if odd:
            names = join_names([str(found.images.paths[problem.row]) for problem in odd])
            told.append(f"{_count(len(odd), f'picture {one}', f'pictures {many}')}: {names}. Look whether they belong.")
    return told


def _tables(
    found: Inspection, sizes: NDArray[Any], unreadable: Sequence[tuple[str, str]], exact: Pairs, near: Pairs
) -> dict[str, Table]:
    images = found.images
    counts, paths = images.counts(), images.paths
    tables = {}
    if counts:
        rows = [[name, count, f"{count / max(len(images), 1):.1%}"] for name, count in counts.items()]
        tables["Pictures of each class"] = Table(["class", "pictures", "share"], rows)
    if len(sizes):
        measured = {"smallest": sizes.min(0), "median": np.median(sizes, 0), "largest": sizes.max(0)}
        rows = [[name, *(int(value) for value in pair)] for name, pair in measured.items()]
        tables["Size in pixels"] = Table(["", "width", "height"], rows)

    def add(title: str, columns: list[str], things: Sequence[Any], row: Callable[[Any], list[Any]]) -> None:
        most = _DOUBTFUL_ROWS if title == "Doubtful labels" else _ROWS
        if len(things):
            capped = title if len(things) <= most else f"{title} (the first {most} of {len(things):,})"
            tables[capped] = Table(columns, [row(thing) for thing in things[:most]])

    def pair(rows: Any) -> list[Any]:
        return [str(paths[rows[0]]), str(paths[rows[1]])]

    def odd(problem: Issue) -> list[Any]:
        return [str(paths[problem.row]), problem.kind, problem.reason]

    labels = label_names(images.labels, images.classes)
    add("Files left out", ["file", "reason"], unreadable, list)
    for name, pairs in found.leaks.items():
        add(f"Copies across {name}s", ["picture", "and"], pairs.tolist(), pair)
    add("Exact copies", ["picture", "and"], exact.tolist(), pair)
    add("Near-duplicates", ["picture", "and"], near.tolist(), pair)
    add(
        "Doubtful labels", ["picture", "label", "looks like", "probability of its label"], found.of("doubtful label"),
        lambda one: [str(paths[one.row]), ", ".join(labels[one.row]), one.suggested, one.score],
    )  # fmt: skip
    add("Odd pictures", ["picture", "is", "why"], [p for p in found.problems if p.kind in (*_WORDS, "tiny")], odd)
    return tables


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"
