"""The inspection of a set of pictures before training: what is there, and what would harm training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from diptych.data import duplicates
from diptych.data.combine import concatenate, with_groups
from diptych.data.inspection import outliers, quality, scenes
from diptych.data.inspection.issues import COPIES, KINDS, Issue, LabelIssue
from diptych.data.labels import label_names
from diptych.data.perceptual_hash import THUMBNAIL_PIXELS
from diptych.data.picture_set import PictureSet, PictureSetT
from diptych.errors import UsageError

#: Which copy is kept where copies lie in several parts of a set: a test part that loses pictures measures less.
_PART_RANK = {"test": 0, "validation": 1}
CLEANVISION_MISSING = (
    "Dark, bright, blurred and empty pictures were not searched for: install cleanvision with "
    "pip install 'diptych[doctor]'."
)
#: Groups whose values should share no picture.
_LEAK_GROUPS = ("split", "folder")
_COPY_REASONS = dict(zip(COPIES, ("the same file as", "the same picture as", "the mirror image of"), strict=True))


@dataclass(frozen=True)
class Inspection(Generic[PictureSetT]):
    """All that an inspection found about a set of pictures.

    Attributes
    ----------
    images
        The pictures.
    issues
        The issues, the most serious kind first.
    leaks
        Copies in two parts of something that should keep apart: (M, 2) row numbers by "split" or "folder".
    notes
        Sentences about how checks were made, about those that were left out, and how to have them done.
    same_scene_pictures
        How many pictures show the same scene as another, of which the issues list those most alike.
    max_label_errors
        How many of the suspected label errors the report lists (``None``: all); all of them are issues.
    """

    images: PictureSetT
    issues: tuple[Issue, ...]
    leaks: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    same_scene_pictures: int = 0
    max_label_errors: int | None = None

    def of_kind(self, kind: str) -> list[Issue]:
        """The issues of one kind."""
        return [issue for issue in self.issues if issue.kind == kind]

    def listed_label_errors(self) -> list[Issue]:
        """The suspected label errors that the report lists."""
        return self.of_kind("label error")[: self.max_label_errors]

    def with_label_issues(
        self, label_issues: Sequence[LabelIssue], listed: int | None = None
    ) -> "Inspection[PictureSetT]":
        """The same with labels that may be wrong, of which the report lists the first."""
        issues = [*self.issues, *(label_issue.to_issue() for label_issue in label_issues)]
        return replace(self, issues=_sorted(issues), max_label_errors=listed)

    def with_notes(self, *notes: str) -> "Inspection[PictureSetT]":
        """The same with further notes."""
        return replace(self, notes=self.notes + notes)

    def with_outliers(self, rows: NDArray[np.int64], embedding: outliers.Features) -> "Inspection[PictureSetT]":
        """The same with the outliers by a network's (M, D) features in place of those of plain statistics."""
        others = [issue for issue in self.issues if issue.kind != "outlier"]
        return replace(self, issues=_sorted([*others, *outliers.find_feature_outliers(rows, embedding)]))

    def with_same_scenes(self, rows: NDArray[np.int64], features: outliers.Features) -> "Inspection[PictureSetT]":
        """The same with the pictures that show one scene, by a network's (M, D) features of unit length."""
        clusters = duplicates.duplicate_clusters(self.images)[rows]
        issues, count = scenes.find_same_scenes(rows, features, clusters)
        return replace(self, issues=_sorted([*self.issues, *issues]), same_scene_pictures=count)

    def records(self) -> list[dict[str, Any]]:
        """Every issue as JSON can hold it."""
        paths = self.images.paths
        return [
            {
                "path": str(paths[issue.row]),
                "kind": issue.kind,
                "action": issue.action,
                "reason": issue.reason,
                "other": None if issue.other is None else str(paths[issue.other]),
                "suggested": issue.suggested,
                "score": issue.score,
            }
            for issue in self.issues
        ]


def examine(images: PictureSetT) -> Inspection[PictureSetT]:
    """Decode every picture once; search for unreadable files, copies, pictures of low quality, and outliers."""
    notes = []
    measures = None
    if quality.is_available():
        measures = quality.empty_measures(images)
        with quality.measuring(images, measures):
            duplicates.duplicate_clusters(images)
    else:
        notes.append(CLEANVISION_MISSING)
    leaks = {
        name: duplicates.cross_duplicates(images, images.groups[name]) for name in _LEAK_GROUPS if name in images.groups
    }
    issues = [
        *(Issue(row, "unreadable", error.reason) for row, error in images.unreadable(THUMBNAIL_PIXELS).items()),
        *_copy_issues(images),
        *quality.quality_issues(images, measures),
        *outliers.find_outliers(*outliers.picture_statistics(images)),
    ]
    return Inspection(images, _sorted(issues), leaks, tuple(notes))


def concatenate_sets(sets: Sequence[PictureSetT], names: Sequence[str]) -> PictureSetT:
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
    return with_groups(reduce(concatenate, sets), folder=folder)


def _copy_issues(images: PictureSet) -> list[Issue]:
    """Every picture that repeats another, beside the one to keep: of the test part, else the first."""
    pairs = _kept_first(images, duplicates.duplicate_pairs(images))
    digests = duplicates.content_digests(images)
    mirrored = duplicates.mirrored_pairs(images, pairs)
    labels = label_names(images.labels, images.classes)
    issues = []
    for (original, row), is_mirrored in zip(pairs.tolist(), mirrored.tolist(), strict=True):
        exact = digests[original] == digests[row]
        kind = "exact copy" if exact else "mirrored copy" if is_mirrored else "near-duplicate"
        if labels[original] and labels[row] and labels[original] != labels[row]:
            for one, other in ((original, row), (row, original)):
                reason = f"labelled {', '.join(labels[one])}, but its {kind} is labelled {', '.join(labels[other])}"
                issues.append(Issue(one, "copies with different labels", reason, other))
        else:
            issues.append(Issue(row, kind, f"{_COPY_REASONS[kind]} {images.paths[original]}", original))
    return issues


def _kept_first(images: PictureSet, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs with the picture to keep first: where there are parts, of each cluster one of the part of lowest rank."""
    part = images.groups.get("split")
    if part is None or not len(pairs):
        return pairs
    rank = np.array([_PART_RANK.get(name, 2) for name in part.tolist()])
    first = duplicates.duplicate_clusters(images)
    best = {int(first[row]): row for row in np.lexsort((np.arange(len(first)), rank))[::-1].tolist()}
    rows = [row for row in np.unique(pairs).tolist() if best[int(first[row])] != row]
    return np.array([(best[int(first[row])], row) for row in rows], np.int64).reshape(-1, 2)


def _sorted(issues: Sequence[Issue]) -> tuple[Issue, ...]:
    """By kind, score and row."""
    rank = {kind: i for i, kind in enumerate(KINDS)}

    def key(issue: Issue) -> tuple[int, float, int]:
        return rank[issue.kind], issue.score if issue.score is not None else 0.0, issue.row

    return tuple(sorted(issues, key=key))
