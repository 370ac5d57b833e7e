"""The report of an inspection: counts, findings in sentences, tables and thumbnails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.inspection.inspect import Inspection
from diptych.data.inspection.issues import KINDS, Issue
from diptych.data.inspection.thumbnails import thumbnail_figures
from diptych.data.inspection.verdict import inspection_verdict
from diptych.data.labels import label_names
from diptych.data.messages import counted, join_names
from diptych.data.picture_set import PictureSet
from diptych.report import Report, Table

#: A class of fewer pictures than this is hard to learn and harder to evaluate.
MIN_CLASS_PICTURES = 20
#: The largest class may have this many times the pictures of the smallest before it is reported.
MAX_IMBALANCE = 3.0
COUNTS, SIZES = "Pictures of each class, in figures", "Size in pixels"
_MAX_ROWS, _MAX_LABEL_ERROR_ROWS = 50, 120
#: How one picture and several pictures of a kind are described.
_KIND_SENTENCES = {
    "blank": ("is of one colour all over", "are of one colour all over"),
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


@dataclass(frozen=True)
class _Counts:
    """What several sections of the report use."""

    sizes: NDArray[np.int64]  # (N, 2) width and height, (0, 0) where unreadable
    unreadable: list[tuple[str, str]]  # path and reason
    exact: Pairs
    near: Pairs  # mirrored ones too

    @property
    def readable(self) -> NDArray[np.bool_]:
        return self.sizes[:, 0] > 0

    @property
    def readable_sizes(self) -> NDArray[np.int64]:
        return self.sizes[self.readable]


def inspection_report(inspection: Inspection[Any]) -> Report:
    """Facts for programs, findings as sentences with their cures, tables, and thumbnails."""
    images = inspection.images
    counts = _count_all(images)
    report = Report(f"Inspection of {counted(len(images), 'picture')}")
    report.facts = _facts(inspection, counts)
    report.findings = [
        *_unreadable_findings(counts.unreadable),
        *_class_findings(images, counts.readable),
        *_copy_findings(inspection, counts.exact, counts.near),
        *_tiny_findings(inspection),
        *_label_error_findings(inspection),
        *_same_scene_findings(inspection),
        *_quality_findings(inspection),
    ]
    report.tables = _tables(inspection, counts)
    report.figures |= thumbnail_figures(inspection)
    report.rare = {COUNTS, SIZES}
    leaks = sum(map(len, inspection.leaks.values()))
    class_counts = images[counts.readable].counts()
    report.verdict = inspection_verdict(len(images), class_counts, report.facts["issues"], leaks, MIN_CLASS_PICTURES)
    if not report.findings:
        report.findings = ["No issue was found that would harm training."]
    report.findings += inspection.notes
    return report


def _count_all(images: PictureSet) -> _Counts:
    sizes = images.dimensions()
    pairs = duplicates.duplicate_pairs(images)
    digests = duplicates.content_digests(images)
    exact = digests[pairs[:, 0]] == digests[pairs[:, 1]]
    errors = {str(error): error for error in [*images.known_errors().values(), *images.skipped]}
    unreadable = [(error.path, error.reason) for error in errors.values()]
    return _Counts(sizes, unreadable, pairs[exact], pairs[~exact])


def _facts(inspection: Inspection[Any], counts: _Counts) -> dict[str, Any]:
    images, sizes = inspection.images, counts.readable_sizes
    class_counts = images.counts()
    shorter = sizes.min(1) if len(sizes) else np.zeros(1, np.int64)
    labelled = images.labels.any(1) if images.multi_label else images.labels >= 0
    facts: dict[str, Any] = {
        "pictures": len(images),
        "classes": len(images.classes),
        "counts": class_counts,
        "unlabelled": int((~labelled).sum()),
        "unreadable": len(counts.unreadable),
        "exact_copies": len(counts.exact),
        "near_duplicates": len(counts.near),
        "mirrored_copies": int(duplicates.mirrored_pairs(images, counts.near).sum()),
        "imbalance": _imbalance(class_counts),
        "shorter_side": {
            "smallest": int(shorter.min()),
            "median": float(np.median(shorter)),
            "largest": int(shorter.max()),
        },
    }
    facts |= {f"copies_across_{name}s": len(pairs) for name, pairs in inspection.leaks.items()}
    issues = {kind: len(inspection.of_kind(kind)) for kind in KINDS}
    return facts | {"issues": {kind: n for kind, n in issues.items() if n}}


def _imbalance(counts: dict[str, int]) -> float | None:
    """Pictures of the largest class over those of the smallest; None without classes or with an empty one."""
    return max(counts.values()) / min(counts.values()) if counts and min(counts.values()) else None


def _unreadable_findings(unreadable: Sequence[tuple[str, str]]) -> list[str]:
    if not unreadable:
        return []
    files = join_names([f"{path} ({reason})" for path, reason in unreadable])
    return [f"{counted(len(unreadable), 'file')} cannot be used and will be left out: {files}. Replace or remove them."]


def _class_findings(images: PictureSet, readable: NDArray[np.bool_]) -> list[str]:
    counts = images[readable].counts()
    if not counts:
        return ["No picture has a label. A recognizer needs classes: sort the pictures into one folder for each."]
    findings = []
    if len(counts) == 1:
        name = next(iter(counts))
        findings.append(
            f"There is only one class, {name}. A recognizer needs at least two: add a folder of other pictures."
        )
    small = [f"{name} ({count})" for name, count in counts.items() if count < MIN_CLASS_PICTURES]
    if small:
        findings.append(
            f"{counted(len(small), 'class', 'classes')} of fewer than {MIN_CLASS_PICTURES} readable pictures: "
            f"{join_names(small)}. Scores will be uncertain; add pictures if you can."
        )
    ratio = _imbalance(counts)
    if ratio is not None and ratio > MAX_IMBALANCE:
        largest, smallest = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
        findings.append(
            f"{largest} has {ratio:.1f} times as many pictures as {smallest}. Add pictures of {smallest}, and evaluate "
            "by macro F1 rather than accuracy."
        )
    return findings


def _copy_findings(inspection: Inspection[Any], exact: Pairs, near: Pairs) -> list[str]:
    images = inspection.images
    findings = _label_conflict_findings(images, np.concatenate([exact, near]))
    for name, pairs in inspection.leaks.items():
        if len(pairs):
            a, b = pairs[0].tolist()
            part = images.groups[name]
            findings.append(
                f"{counted(len(pairs), 'pair')} of copies across {part[a]} and {part[b]}"
                f"{' and others' if len(np.unique(part)) > 2 else ''}, such as {images.paths[a]} and "
                f"{images.paths[b]}: if one is used for training and the other for evaluation, scores will look too "
                "good. Remove one of each."
            )
    mirrored = duplicates.mirrored_pairs(images, near)
    kinds = (
        (exact, "the same file as another"),
        (near[~mirrored], "another picture but for size or encoding"),
        (near[mirrored], "another picture's mirror image"),
    )
    for pairs, description in kinds:
        if len(pairs):
            a, b = pairs[0].tolist()
            findings.append(
                f"{counted(len(pairs), 'picture is', 'pictures are')} {description}, such as {images.paths[b]} and "
                f"{images.paths[a]}. A split keeps them in one part; removing one of them costs nothing."
            )
    return findings


def _label_conflict_findings(images: PictureSet, pairs: Pairs) -> list[str]:
    labels = label_names(images.labels, images.classes)
    conflicts = [(a, b) for a, b in pairs.tolist() if labels[a] and labels[b] and labels[a] != labels[b]]
    if not conflicts:
        return []
    a, b = conflicts[0]
    return [
        f"{counted(len(conflicts), 'pair')} of copies with different labels, such as {images.paths[a]} "
        f"({', '.join(labels[a])}) and {images.paths[b]} ({', '.join(labels[b])}). Correct the wrong one."
    ]


def _tiny_findings(inspection: Inspection[Any]) -> list[str]:
    tiny = inspection.of_kind("tiny")
    if not tiny:
        return []
    names = join_names([f"{inspection.images.paths[issue.row]} ({issue.reason})" for issue in tiny])
    return [
        f"{counted(len(tiny), 'picture is', 'pictures are')} tiny: {names}. They show too little; consider removing "
        "them."
    ]


def _label_error_findings(inspection: Inspection[Any]) -> list[str]:
    label_errors = inspection.listed_label_errors()
    if not label_errors:
        return []
    first = label_errors[0]
    return [
        f"{counted(len(label_errors), 'label')} may be wrong, the most suspect first: "
        f"{inspection.images.paths[first.row]} is {first.reason}. Review them from the top until most are correct; "
        "some will be hard pictures with the correct label."
    ]


def _same_scene_findings(inspection: Inspection[Any]) -> list[str]:
    pairs, paths = inspection.of_kind("same scene"), inspection.images.paths
    if not pairs:
        return []
    first = pairs[0]
    listed = (
        "" if inspection.same_scene_pictures <= 2 * len(pairs) else f" The {len(pairs)} pairs most alike are listed."
    )
    return [
        f"{inspection.same_scene_pictures:,} pictures show the same object or scene as another, such as "
        f"{paths[first.row]} and {paths[first.other]}.{listed} They are no copies, so none is left out; but where "
        "one is trained on and the other evaluated, scores look too good."
    ]


def _quality_findings(inspection: Inspection[Any]) -> list[str]:
    findings = []
    for kind, (one, many) in _KIND_SENTENCES.items():
        issues = inspection.of_kind(kind)
        if issues:
            names = join_names([str(inspection.images.paths[issue.row]) for issue in issues])
            count = counted(len(issues), f"picture {one}", f"pictures {many}")
            findings.append(f"{count}: {names}. Check whether they belong in the set.")
    return findings


def _tables(inspection: Inspection[Any], counts: _Counts) -> dict[str, Table]:
    return {**_count_tables(inspection.images, counts.readable_sizes), **_issue_tables(inspection, counts)}


def _count_tables(images: PictureSet, sizes: NDArray[np.int64]) -> dict[str, Table]:
    counts, tables = images.counts(), {}
    if counts:
        rows = [[name, count, f"{count / max(len(images), 1):.1%}"] for name, count in counts.items()]
        tables[COUNTS] = Table(["class", "pictures", "share"], rows)
    if len(sizes):
        summary = {"smallest": sizes.min(0), "median": np.median(sizes, 0), "largest": sizes.max(0)}
        rows = [[name, *(int(value) for value in pair)] for name, pair in summary.items()]
        tables[SIZES] = Table(["", "width", "height"], rows)
    return tables


def _issue_tables(inspection: Inspection[Any], counts: _Counts) -> dict[str, Table]:
    images, paths = inspection.images, inspection.images.paths
    tables: dict[str, Table] = {}

    def add(title: str, columns: list[str], items: Sequence[Any], row: Callable[[Any], list[Any]]) -> None:
        limit = _MAX_LABEL_ERROR_ROWS if title == "Suspected label errors" else _MAX_ROWS
        if len(items):
            full_title = title if len(items) <= limit else f"{title} (the first {limit} of {len(items):,})"
            tables[full_title] = Table(columns, [row(item) for item in items[:limit]])

    def pair_row(rows: Any) -> list[Any]:
        return [str(paths[rows[0]]), str(paths[rows[1]])]

    def issue_row(issue: Issue) -> list[Any]:
        return [str(paths[issue.row]), issue.kind, issue.reason]

    labels = label_names(images.labels, images.classes)

    def label_error_row(issue: Issue) -> list[Any]:
        return [str(paths[issue.row]), ", ".join(labels[issue.row]), issue.suggested, f"{issue.score:.0%}"]

    add("Files left out", ["file", "reason"], counts.unreadable, list)
    for name, pairs in inspection.leaks.items():
        add(f"Copies across {name}s", ["picture", "and"], pairs.tolist(), pair_row)
    add("Exact copies", ["picture", "and"], counts.exact.tolist(), pair_row)
    add("Near-duplicates", ["picture", "and"], counts.near.tolist(), pair_row)
    columns = ["picture", "label", "suggested label", "probability of its label"]
    same_scene = inspection.of_kind("same scene")
    add("The same object or scene", ["picture", "and"], [(issue.other, issue.row) for issue in same_scene], pair_row)
    add("Suspected label errors", columns, inspection.listed_label_errors(), label_error_row)
    quality_issues = [issue for issue in inspection.issues if issue.kind in (*_KIND_SENTENCES, "tiny")]
    add("Image quality and outliers", ["picture", "is", "why"], quality_issues, issue_row)
    return tables
