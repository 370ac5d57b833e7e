"""Whatever a person has as pictures, as a source: paths, bytes, pictures of Pillow, arrays, tensors, datasets, lists.

Other libraries' classes are recognised by what they offer, so that none of them is imported here.
"""

import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np
from PIL import Image

from diptych.data.labels import Labels, labels_from_name_lists, labels_from_values
from diptych.data.sources import open_files
from diptych.data.sources.arrays import from_arrays, unflattened
from diptych.data.sources.base import Metadata, Source, unlabelled
from diptych.data.sources.files import LocalFiles
from diptych.data.sources.sequence import CHANNELS, SequenceSource, content_of, is_array, rgb_pixels, to_numpy
from diptych.errors import DataError

TAKEN = (
    "Pictures are taken as Images, a path, a file's bytes, a picture of Pillow, an array (H, W, 3) or (N, H, W, 3), "
    "a tensor (3, H, W) or (N, 3, H, W), a list of these, or a dataset with a length and rows."
)
MAX_SIDES = 20  # a picture's longer side, as a multiple of the shorter one, in an array (H, W)
_LABEL_COLUMNS = ("label", "labels")  # of a table whose features name no classes
_PAIR = 2  # a row of a torch dataset: picture and label


def source_of(pictures: Any, labels: Any = None) -> Source:
    """The source that an object is; see :meth:`diptych.Images.of`. ``labels`` tell how many pictures are meant.

    Raises
    ------
    DataError
        It is nothing that pictures are taken from, or its shapes or ranges are not those of pictures.
    """
    if isinstance(pictures, Image.Image | bytes):
        return _of_list([pictures])
    if hasattr(pictures, "read"):  # an open file, whose lines would be taken for pictures
        content = pictures.read()
        if not isinstance(content, bytes):
            raise DataError("The file is open as text. Open it as bytes, as by open(path, 'rb'), or give its path.")
        return _of_list([content])
    if hasattr(pictures, "to_numpy"):  # a column of a table
        pictures = pictures.to_numpy()
    if is_array(pictures):
        array = to_numpy(pictures)
        if array.dtype.kind in "OUT":
            return _of_list(array.ravel().tolist())
        _refuse_flattened(array, labels)
        return _of_array(array)
    if isinstance(pictures, list | tuple | Iterator):
        return _of_list(list(pictures))
    if isinstance(pictures, Mapping):
        names = ", ".join(map(repr, pictures))
        raise DataError(f"Several sets of pictures by name are given: {names}. Give one of them.")
    if hasattr(pictures, "__getitem__") and isinstance(pictures, Sized):
        is_table = hasattr(pictures, "column_names") and hasattr(pictures, "features")
        return _of_table(pictures) if is_table else _of_dataset(pictures)
    inner = " Give its dataset." if hasattr(pictures, "dataset") else ""
    raise DataError(f"{type(pictures).__name__} is nothing that pictures are taken from.{inner} {TAKEN}")


def _refuse_flattened(array: Any, labels: Any) -> None:
    """Refuse (N, D) where that is no grey picture: there is a label for each row, or one side is many times the other.

    Raises
    ------
    DataError
        With the shape that the rows probably have.
    """
    if array.ndim != 2 or not array.size:
        return
    rows, values = array.shape
    labelled = 1 if labels is None or isinstance(labels, str) else len(labels)
    if labelled == rows > 1 or max(rows, values) > MAX_SIDES * min(rows, values):
        raise DataError(
            f"An array of the shape {array.shape} would be one grey picture, {rows:,} px high and {values:,} px wide, "
            f"but looks like {rows:,} flattened ones. Give them their height and width, such as {unflattened(values)}; "
            "one picture as it is: array[None]."
        )


def _of_array(array: Any) -> Source:
    """One picture, or (N, H, W) grey or (N, H, W, C)."""
    one = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in CHANNELS)
    return from_arrays(rgb_pixels(array)[None] if one else array)


def _of_list(pictures: Sequence[Any]) -> Source:
    """Pictures one by one; what is in memory is checked at once, what is in a file when it is read."""
    if all(_is_path(picture) for picture in pictures):
        return open_files(LocalFiles(""), [os.fspath(picture) for picture in pictures])
    contents = [_checked(picture, row) for row, picture in enumerate(pictures)]
    metadata = Metadata(paths=[_name_of(p, row) for row, p in enumerate(pictures)], labels=unlabelled(len(pictures)))
    return SequenceSource(contents.__getitem__, metadata)


def _is_path(picture: Any) -> bool:
    return isinstance(picture, str | os.PathLike)


def _checked(picture: Any, row: int) -> Any:
    """A path or a picture of Pillow as it is; the pixels of an array."""
    if _is_path(picture) or isinstance(picture, Image.Image):
        return picture
    try:
        return content_of(picture)
    except DataError as error:
        raise DataError(f"Picture {row} of the list cannot be taken. {error}") from None


def _name_of(picture: Any, row: int) -> str:
    path = picture if _is_path(picture) else getattr(picture, "filename", "")  # of a picture that Pillow has opened
    return os.fspath(path) if _is_path(path) and path else f"picture#{row}"


def _of_table(table: Any) -> Source:
    """A Hugging Face dataset: the first column of pictures, and the column of labels; files are decoded here."""
    features = dict(table.features)
    image = next((name for name, feature in features.items() if type(feature).__name__ == "Image"), None)
    if image is None:
        raise DataError(f"The dataset has no column of pictures, only {', '.join(features)}. Cast one to Image.")
    encoded = table.with_format(None).cast_column(image, type(features[image])(decode=False))
    labels, classes = _table_labels(encoded, features)
    metadata = Metadata(paths=_row_names(table), labels=labels, classes=classes)
    return SequenceSource(lambda row: encoded[row][image], metadata)


def _table_labels(table: Any, features: Mapping[str, Any]) -> tuple[Labels, tuple[str, ...]]:
    """The column of class labels, or the one that is named as labels are."""
    named = [name for name, feature in features.items() if getattr(getattr(feature, "feature", feature), "names", None)]
    column = next(iter([*named, *(name for name in _LABEL_COLUMNS if name in features)]), None)
    if column is None:
        return unlabelled(len(table)), ()
    feature = features[column]
    classes = tuple(getattr(getattr(feature, "feature", feature), "names", None) or ())
    values = list(table[column])
    if not any(isinstance(value, list) for value in values):
        numbers = [-1 if value is None else value for value in values] if classes else values
        return labels_from_values(numbers, len(values), classes)
    name_lists = [[classes[item] if classes else str(item) for item in value or ()] for value in values]
    return labels_from_name_lists(name_lists, classes)


def _of_dataset(dataset: Any) -> Source:
    """A map-style dataset, of pictures or of pairs of picture and label."""
    n = len(dataset)
    first = dataset[0] if n else None
    if not isinstance(first, list | tuple):
        if n:
            content_of(first)  # a row that is no picture is found out at once
        return SequenceSource(
            dataset.__getitem__, Metadata(paths=_row_names(dataset), labels=unlabelled(n)), of_pixels=True
        )
    if len(first) != _PAIR:
        raise DataError(f"A row of the dataset has {len(first)} parts; it must be a picture, or a picture and a label.")
    content_of(first[0])
    labels, classes = _dataset_labels(dataset, first[1])
    metadata = Metadata(paths=_row_names(dataset), labels=labels, classes=classes)
    return SequenceSource(lambda row: dataset[row][0], metadata, of_pixels=True)


def _dataset_labels(dataset: Any, first: Any) -> tuple[Labels, tuple[str, ...]]:
    """The labels as torchvision's datasets list them, else row by row; "classes" are the names of numbers."""
    listed = _listed_labels(dataset)
    if listed is None or len(listed) != len(dataset) or not np.array_equal(listed[0], np.asarray(first)):
        listed = [np.asarray(dataset[row][1]) for row in range(len(dataset))]
    values = np.asarray(listed)
    names = _classes_of(dataset)
    numbered = values.dtype.kind in "iu" and values.size and values.max() < len(names)
    return labels_from_values(values, len(dataset), names if numbered else ())


def _listed_labels(dataset: Any) -> Any:
    """All labels without a picture being decoded, where the dataset, or the one it is a subset of, lists them."""
    if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
        whole = _listed_labels(dataset.dataset)
        return None if whole is None else np.asarray(whole)[np.asarray(dataset.indices, np.int64)]
    return next((getattr(dataset, name) for name in ("targets", "labels") if hasattr(dataset, name)), None)


def _classes_of(dataset: Any) -> tuple[str, ...]:
    if hasattr(dataset, "classes"):
        return tuple(str(name) for name in dataset.classes)
    return _classes_of(dataset.dataset) if hasattr(dataset, "dataset") else ()


def _row_names(dataset: Any) -> list[str]:
    return [f"{type(dataset).__name__}#{row}" for row in range(len(dataset))]
