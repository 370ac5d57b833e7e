"""Sets of pictures joined, and the same pictures with other metadata."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.labels import composed, renumber
from diptych.data.messages import join_names
from diptych.data.picture_set import PictureSet, PictureSetT
from diptych.data.sources.base import Metadata
from diptych.errors import DataError


def concatenate(first: PictureSetT, second: PictureSet) -> PictureSetT:
    """Concatenate two sets; see :meth:`diptych.Images.__add__`.

    If one of them is multi-label, the labels of both become (N, K) bool.
    """
    known = set(map(composed, first.classes))
    classes = first.classes + tuple(name for name in second.classes if composed(name) not in known)
    labels = [renumber(images.labels, images.classes, classes) for images in (first, second)]
    if first.multi_label or second.multi_label:
        labels = [_indicators(numbers, len(classes)) for numbers in labels]
    metadata = Metadata(
        paths=np.concatenate([first.paths, second.paths]),
        labels=np.concatenate(labels),
        classes=classes,
        groups=_concatenate_groups(first, second),
        origins=np.concatenate([first.origins, second.origins]),
        skipped=tuple({str(error): error for error in first.skipped + second.skipped}.values()),
    )
    return type(first)(first.store + second.store, metadata)


def join(sets: Sequence[PictureSetT]) -> PictureSetT:
    """One or more sets, one behind the other."""
    if len(sets) == 1:
        return sets[0]
    half = len(sets) // 2  # by halves, so that many small sets are not copied once for each
    return concatenate(join(sets[:half]), join(sets[half:]))


def with_groups(images: PictureSetT, **columns: NDArray[Any]) -> PictureSetT:
    """The same pictures with further columns (N,), or other values in those they have."""
    return images.with_metadata(groups={**images.groups, **columns})


def without_groups(images: PictureSetT) -> PictureSetT:
    """The same pictures without further columns, such as the part of a split that they are in."""
    return images.with_metadata(groups={})


def with_labels(images: PictureSetT, labels: NDArray[Any], classes: Sequence[str]) -> PictureSetT:
    """The same pictures with other labels, (N,) numbers or (N, K) bool, of other classes."""
    return images.with_metadata(labels=labels, classes=tuple(classes))


def reorder_classes(images: PictureSetT, classes: Sequence[str]) -> PictureSetT:
    """The same pictures with their labels in another order of classes; see :meth:`diptych.Images.relabel`."""
    known = set(map(composed, classes))
    unknown = [name for name, count in images.counts().items() if count and composed(name) not in known]
    if unknown:
        raise DataError(
            f"The pictures have classes that are unknown here: {join_names(unknown, 8)}. "
            f"Known are: {join_names(classes, 8) or 'none'}. Rename or leave out the folders that do not match."
        )
    return with_labels(images, renumber(images.labels, images.classes, classes), classes)


def _indicators(labels: NDArray[Any], k: int) -> NDArray[Any]:
    """(N, K) bool of (N,) class numbers; (N, K) labels as they are."""
    if labels.ndim == 2:
        return labels
    return np.asarray(labels[:, None] == np.arange(k))


def _concatenate_groups(first: PictureSet, second: PictureSet) -> dict[str, NDArray[Any]]:
    """Columns of either; where one has none, its text is empty (a column of numbers becomes text then)."""
    groups = {}
    for name in dict.fromkeys([*first.groups, *second.groups]):
        columns = [images.groups.get(name) for images in (first, second)]
        present = [column for column in columns if column is not None]
        as_text = len(present) < 2 or len({column.dtype.kind in "US" for column in present}) > 1
        filled = [
            np.full(len(images), "") if column is None else column.astype(np.str_) if as_text else column
            for images, column in zip((first, second), columns, strict=True)
        ]
        groups[name] = np.concatenate(filled)
    return groups
