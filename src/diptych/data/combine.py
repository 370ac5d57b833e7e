"""One set of pictures behind another, or with more known about it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import labels as labelling
from diptych.data.images import Images
from diptych.data.sources.base import join_names
from diptych.data.store import Place
from diptych.errors import DataError


def concatenate(first: Images, second: Images) -> Images:
    """Concatenate; see :meth:`diptych.Images.__add__`. A single label becomes one of several if need be."""
    classes = first.classes + tuple(name for name in second.classes if name not in first.classes)
    both = [labelling.renumber(images.labels, images.classes, classes) for images in (first, second)]
    if first.multi_label or second.multi_label:
        both = [_indicators(labels, len(classes)) for labels in both]
    about = {
        "classes": classes,
        "labels": np.concatenate(both),
        "groups": _groups(first, second),
        "origins": np.concatenate([first.origins, second.origins]),
        "paths": np.concatenate([first.paths, second.paths]),
        "skipped": tuple({str(error): error for error in first.skipped + second.skipped}.values()),
    }
    sources = list(first._sources)
    numbers = []
    for source in second._sources:  # the same source twice keeps one set of decoded pictures
        known = [i for i, held in enumerate(sources) if held is source]
        numbers.append(known[0] if known else len(sources))
        if not known:
            sources.append(source)
    moved = Place(np.array(numbers, np.int64)[second._place.source], second._place.row)
    return Images(sources, first._place + moved, about)


def with_groups(images: Images, **columns: NDArray[Any]) -> Images:
    """The same pictures with further columns (N,), or other values in those they have."""
    about = {**images._about(), "groups": {**images.groups, **columns}}
    return Images(images._sources, images._place, about)


def without_groups(images: Images) -> Images:
    """The same pictures without what else is known about them, such as the part of a split that they are in."""
    return Images(images._sources, images._place, {**images._about(), "groups": {}})


def with_labels(images: Images, labels: NDArray[Any], classes: Sequence[str]) -> Images:
    """The same pictures with other labels, (N,) numbers or (N, K) bool, of other classes."""
    about = {**images._about(), "labels": labels, "classes": tuple(classes)}
    return Images(images._sources, images._place, about)


def reorder_classes(images: Images, classes: Sequence[str]) -> Images:
    """The same pictures with their labels in another order of classes; see :meth:`diptych.Images.relabel`."""
    unknown = [name for name, count in images.counts().items() if count and name not in classes]
    if unknown:
        raise DataError(
            f"The pictures have classes that are unknown here: {join_names(unknown, 8)}. "
            f"Known are: {join_names(classes, 8) or 'none'}. Rename or leave out the folders that do not match."
        )
    return with_labels(images, labelling.renumber(images.labels, images.classes, classes), classes)


def _indicators(labels: NDArray[Any], k: int) -> NDArray[Any]:
    if labels.ndim == 2:
        return labels
    return np.asarray(labels[:, None] == np.arange(k))


def _groups(first: Images, second: Images) -> dict[str, NDArray[Any]]:
    """Columns of either; where one has none, its text is empty (a column of numbers becomes text then)."""
    out = {}
    for name in dict.fromkeys([*first.groups, *second.groups]):
        columns = [images.groups.get(name) for images in (first, second)]
        held = [column for column in columns if column is not None]
        as_text = len(held) < 2 or len({column.dtype.kind in "US" for column in held}) > 1
        filled = [
            np.full(len(images), "") if column is None else column.astype(np.str_) if as_text else column
            for images, column in zip((first, second), columns, strict=True)
        ]
        out[name] = np.concatenate(filled)
    return out
