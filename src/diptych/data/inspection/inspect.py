"""A look at a set of pictures before training: what is there, and what would spoil it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.combine import with_groups
from diptych.data.inspection import outliers, quality
from diptych.data.inspection.issues import COPIES, KINDS, Issue, LabelIssue
from diptych.data.labels import label_names
from diptych.data.perceptual_hash import THUMBNAIL
from diptych.errors import UsageError
from diptych.report import Report

if TYPE_CHECKING:
    from diptych.data.images import Images

#: Which copy is kept where they lie in several parts of a set: a test that is torn open judges nothing any more.
_KEPT_FIRST = {"test": 0, "validation": 1}
MISSING = (
    "Dark, bright, blurred and empty pictures were not looked for: that needs cleanvision. Install it with "
    "pip install 'diptych[doctor]'."
)
_LEAKS = {"split": "parts of the set", "folder": "folders"}


@dataclass(frozen=True)
class Inspection:
    """All that was found about a set of pictures.

    Attributes
    ----------
    images
        The pictures.
    problems
        What was found, the gravest kind first.
    leaks
        Copies on both sides of something that should keep apart: (M, 2) row numbers by "split" or "folder".
    notes
        Sentences about what was left out, and how to have it done.
    """

    images: "Images"
    problems: tuple[Issue, ...]
    leaks: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Issue]:
        """The problems of one kind."""
        return [problem for problem in self.problems if problem.kind == kind]

    def doubting(self, candidates: Sequence[LabelIssue]) -> "Inspection":
        """The same with labels that may be wrong."""
        more = [candidate.problem() for candidate in candidates]
        return replace(self, problems=_in_order([*self.problems, *more]))

    def noting(self, *notes: str) -> "Inspection":
        """The same with further sentences."""
        return replace(self, notes=self.notes + notes)

    def seen_by(self, rows: NDArray[np.int64], embedding: outliers.Space) -> "Inspection":
        """The same with the outliers of a recognizer's (M, D) embedding in place of those of plain statistics."""
        rest = [problem for problem in self.problems if problem.kind != "outlier"]
        return replace(self, problems=_in_order([*rest, *outliers.outliers(rows, embedding)]))

    def report(self) -> Report:
        """Facts for programs, findings as sentences with their cures, tables, and thumbnails."""
        from diptych.data.inspection.report import inspection_report

        return inspection_report(self)

    def listed(self) -> list[dict[str, Any]]:
        """Every problem as JSON can hold it."""
        paths = self.images.paths
        return [
            {
                "path": str(paths[problem.row]),
                "kind": problem.kind,
                "action": problem.action,
                "reason": problem.reason,
                "other": None if problem.other is None else str(paths[problem.other]),
                "suggested": problem.suggested,
                "score": problem.score,
            }
            for problem in self.problems
        ]


def examine(images: "Images") -> Inspection:
    """Decode every picture once; look for what cannot be read, copies, odd pictures and outliers."""
    notes = []
    measures = None
    if quality.available():
        measures = quality.empty_measures(images)
        with quality.measuring(images, measures):
            duplicates.duplicate_clusters(images)
    else:
        notes.append(MISSING)
    leaks = {name: duplicates.cross_duplicates(images, images.groups[name]) for name in _LEAKS if name in images.groups}
    problems = [
        *(Issue(row, "unreadable", error.reason) for row, error in _unreadable(images).items()),
        *_copies(images),
        *quality.quality_issues(images, measures),
        *outliers.outliers(*outliers.statistics(images)),
    ]
    return Inspection(images, _in_order(problems), leaks, tuple(notes))


def inspect(images: "Images") -> Report:
    """Count, measure and decode every picture, and look for copies, oddities and outliers; see :func:`examine`."""
    return examine(images).report()


def concatenate_sets(sets: Sequence["Images"], names: Sequence[str]) -> "Images":
    """Several sets as one, with their names in the group "folder"; a single one as it is.

    Raises
    ------
    UsageError
        If two have the same name.
    """
    if len(sets) == 1:
        return sets[0]
    if len(set(names)) < len(names):
        raise UsageError(f"The same folder is named twice: {', '.join(names)}. Name each once.")
    folder = np.repeat(np.array(names), [len(images) for images in sets])
    joined = reduce(lambda first, second: first + second, sets)
    return with_groups(joined, folder=folder)


def _unreadable(images: "Images") -> dict[int, Any]:
    return images.unreadable(THUMBNAIL)


def _copies(images: "Images") -> list[Issue]:
    """Every picture that repeats another, beside the one to keep: of the test part, else the first."""
    pairs = _keeping(images, duplicates.duplicate_pairs(images))
    digests = duplicates.content_digests(images)
    mirrored = duplicates.mirrored_pairs(images, pairs)
    labels = label_names(images.labels, images.classes)
    found = []
    for (kept, row), turned in zip(pairs.tolist(), mirrored.tolist(), strict=True):
        kind = "exact copy" if digests[kept] == digests[row] else "mirrored copy" if turned else "near-duplicate"
        if labels[kept] and labels[row] and labels[kept] != labels[row]:
            for one, other in ((kept, row), (row, kept)):
                reason = f"labelled {', '.join(labels[one])}, but its {kind} is labelled {', '.join(labels[other])}"
                found.append(Issue(one, "copies with different labels", reason, other))
        else:
            found.append(Issue(row, kind, f"{_AS[kind]} {images.paths[kept]}", kept))
    return found


_AS = dict(zip(COPIES, ("the same file as", "the same picture as", "the mirror image of"), strict=True))


def _keeping(images: "Images", pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn pairs around where the second is in a part that is kept first."""
    part = images.groups.get("split")
    if part is None or not len(pairs):
        return pairs
    rank = np.array([_KEPT_FIRST.get(name, 2) for name in part.tolist()])
    first = duplicates.duplicate_clusters(images)
    best = {int(first[row]): row for row in np.lexsort((np.arange(len(first)), rank))[::-1].tolist()}
    rows = [row for row in np.unique(pairs).tolist() if best[int(first[row])] != row]
    return np.array([(best[int(first[row])], row) for row in rows], np.int64).reshape(-1, 2)


def _in_order(problems: Sequence[Issue]) -> tuple[Issue, ...]:
    rank = {kind: i for i, kind in enumerate(KINDS)}

    def key(problem: Issue) -> tuple[int, float, int]:
        return rank[problem.kind], problem.score if problem.score is not None else 0.0, problem.row

    return tuple(sorted(problems, key=key))
