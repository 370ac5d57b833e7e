"""Labels as people write them, converted to class numbers and class names.

Names are in Unicode's composed form (NFC): a folder café that a Mac wrote and one of Linux are one class.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.errors import DataError

Labels = NDArray[Any]  # (N,) int64 with -1 for unlabelled, or (N, K) bool


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC), in which names that look alike, such as two spellings of é, are one."""
    return unicodedata.normalize("NFC", name)


def find_class(name: str, classes: Sequence[str]) -> int | None:
    """The number of the class of this name, in whichever Unicode form both are written; ``None`` without one."""
    names = [composed(known) for known in classes]
    return names.index(composed(name)) if composed(name) in names else None


def sort_class_names(names: Iterable[str]) -> tuple[str, ...]:
    """Sort class names: by value if every one is a whole number ("2" before "10"), else alphabetically."""
    unique = set(names)
    if unique and all(name.removeprefix("-").isdecimal() for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def labels_from_names(names: Sequence[str | None], classes: Sequence[str] = ()) -> tuple[Labels, tuple[str, ...]]:
    """One name a picture (None or "" = unlabelled) to (N,) class numbers, and the classes that they number.

    Names outside ``classes`` are added behind them.
    """
    named = [name and composed(name) for name in names]
    extended = _extend(classes, (name for name in named if name))
    number = {name: i for i, name in enumerate(extended)}
    labels = np.fromiter((number[name] if name else -1 for name in named), np.int64, len(named))
    return labels, extended


def labels_from_name_lists(
    lists: Sequence[Iterable[str]], classes: Sequence[str] = ()
) -> tuple[Labels, tuple[str, ...]]:
    """Any number of names a picture to (N, K) bool, and the K classes."""
    rows = [[composed(name) for name in names if name] for names in lists]
    extended = _extend(classes, (name for names in rows for name in names))
    number = {name: i for i, name in enumerate(extended)}
    labels = np.zeros((len(rows), len(extended)), bool)
    for i, names in enumerate(rows):
        labels[i, [number[name] for name in names]] = True
    return labels, extended


def labels_from_values(values: Any, n: int, classes: Sequence[str] = ()) -> tuple[Labels, tuple[str, ...]]:
    """Labels as an array of names, of numbers (into ``classes`` if given; -1 = unlabelled), or (N, K) of 0 and 1.

    Or a list of names for each picture. A name that is missing (None, NaN, "") leaves the picture unlabelled. Numbers
    without ``classes`` name their class: 3 and 7 become the classes "3" and "7".
    """
    classes = tuple(map(composed, classes))
    if values is None:
        return np.full(n, -1, np.int64), classes
    if isinstance(values, list | tuple) and any(_is_name_list(value) for value in values):
        if len(values) != n or not all(_is_name_list(value) for value in values):
            raise DataError(f"{n} pictures need {n} lists of names, but {len(values)} labels are given, not all lists.")
        return labels_from_name_lists(values, classes)
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind != "b":
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != n:
        raise DataError(f"{n} pictures need {n} labels, but the labels have the shape {array.shape}.")
    if array.ndim == 2:
        return _indicators(array, classes)
    if array.dtype.kind in "US":
        return labels_from_names([str(name) for name in array.astype(str)], classes)
    if array.dtype.kind == "O":
        return labels_from_names([None if name is None or name != name else str(name) for name in array], classes)
    return _numbers(array, classes)


def label_names(labels: Labels, classes: Sequence[str]) -> list[list[str]]:
    """The class names of each picture; an empty list for an unlabelled one."""
    if labels.ndim == 2:
        return [[classes[k] for k in np.flatnonzero(row).tolist()] for row in labels]
    return [[classes[k]] if k >= 0 else [] for k in labels.tolist()]


def renumber(labels: Labels, classes: Sequence[str], new_classes: Sequence[str]) -> Labels:
    """Express labels in another order of classes, by name; a label that ``new_classes`` lacks is dropped."""
    number = {composed(name): i for i, name in enumerate(new_classes)}
    if labels.ndim == 2:
        out = np.zeros((len(labels), len(new_classes)), bool)
        for k, name in enumerate(map(composed, classes)):
            if name in number:
                out[:, number[name]] |= labels[:, k]
        return out
    table = np.array([*(number.get(composed(name), -1) for name in classes), -1], np.int64)
    return table[labels]  # -1 indexes the last entry


def _extend(classes: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """The classes, followed by the names that are not among them."""
    known = tuple(dict.fromkeys(map(composed, classes)))
    return known + tuple(name for name in sort_class_names(names) if name not in known)


def _is_name_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)


def _indicators(array: NDArray[Any], classes: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    if array.dtype.kind not in "buif" or not np.isin(array, (0, 1)).all():
        raise DataError("Labels with a column for each class must hold only 0 and 1.")
    names = tuple(classes) or tuple(str(k) for k in range(array.shape[1]))
    if len(names) != array.shape[1]:
        raise DataError(f"The labels have {array.shape[1]} columns, but {len(names)} classes are named.")
    return array.astype(bool), names


def _numbers(array: NDArray[Any], classes: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    if array.dtype.kind not in "buif" or (array.dtype.kind == "f" and not (array == np.rint(array)).all()):
        raise DataError("Labels must be whole numbers, names, or a column of 0 and 1 for each class.")
    whole = array.astype(np.int64)
    if len(whole) and whole.min() < -1:
        raise DataError(f"A label is {whole.min()}; labels count from 0, and -1 means unlabelled.")
    if not classes:
        return labels_from_names([None if k < 0 else str(k) for k in whole.tolist()])
    if len(whole) and whole.max() >= len(classes):
        raise DataError(
            f"A label is {whole.max()}, but there are only {len(classes)} classes (0 to {len(classes) - 1})."
        )
    return whole, tuple(classes)
