"""Parquet in the Hugging Face image layout: a struct of bytes and path (or plain bytes), and a label."""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from diptych.data.labels import Labels, from_name_lists, from_names
from diptych.data.sources.base import Rows, Source
from diptych.data.sources.files import Files
from diptych.data.sources.folder import SPLITS
from diptych.data.sources.metadata import group, origins_among
from diptych.errors import DataError, PictureError

_LABELS = ("label", "labels", "fine_label", "class", "category", "target")


class ParquetSource(Source):
    """Pictures in Arrow's own buffers: never copied, never turned into Python objects all at once."""

    def __init__(self, images: Any, files: Files, rows: Rows) -> None:
        self._chunks = [_contents(chunk) for chunk in images.chunks]
        self._starts = [0, *accumulate(len(chunk) for chunk, _ in self._chunks)]
        self._files = files
        super().__init__(rows)

    def read(self, row: int) -> bytes | memoryview:
        """See :class:`Source`."""
        chunk = bisect_right(self._starts, row) - 1
        at = row - self._starts[chunk]
        held, paths = self._chunks[chunk]
        data = held[at].as_buffer()
        if data is not None:
            return memoryview(data)
        name = None if paths is None else paths[at].as_py()
        if name and self._files.exists(name):
            return self._files.read(name)
        raise PictureError("the row holds no picture", self.rows.paths[row])

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        try:
            return crc32(self.read(row)).to_bytes(4, "little")
        except PictureError:
            return b"none"


def open_parquet(files: Files, names: Sequence[str]) -> Source:
    """Open one or more Parquet files as one source."""
    import pyarrow as pa

    tables = [_table(files, name) for name in names]
    schema = tables[0].schema
    image = _image_column(schema, files.path(names[0]))
    label = next((name for name in _LABELS if name in schema.names and name != image), None)
    try:
        images = pa.chunked_array(
            [chunk for table in tables for chunk in table[image].chunks], schema.field(image).type
        )
        paths = [
            f"{files.path(name)}#{i}" for name, table in zip(names, tables, strict=True) for i in range(len(table))
        ]
        labels, classes = _labels(tables, label)
        groups = _groups(tables, without={image, label})
    except (KeyError, pa.ArrowException) as error:
        raise DataError(f"The files beside {files.path(names[0])} do not hold the same columns: {error}") from None
    splits = _splits(names, tables)
    if splits is not None:
        groups["split"] = splits
    origins = origins_among(groups)
    rows = Rows(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins)
    return ParquetSource(images, files, rows)


def class_names(schema: Any, column: str) -> list[str]:
    """Read the class names of a column from what Hugging Face writes beside the schema; [] if nothing."""
    try:
        held = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
    except (KeyError, TypeError, ValueError):
        return []
    while isinstance(held, (list, dict)) and "names" not in held:  # a sequence of class labels is wrapped
        held = held[0] if isinstance(held, list) and held else held.get("feature") if isinstance(held, dict) else None
    return [str(name) for name in held["names"]] if isinstance(held, dict) else []


def _table(files: Files, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with files.open(name) as file:
            return pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{files.path(name)} is not a Parquet file that can be read: {error}") from None


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as pt

    return bool(pt.is_binary(kind) or pt.is_large_binary(kind))


def _image_column(schema: Any, where: str) -> str:
    import pyarrow.types as pt

    for field in schema:
        struct = pt.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        if struct or _is_binary(field.type):
            return str(field.name)
    raise DataError(
        f"{where} has no column of pictures. It holds {', '.join(schema.names)}; "
        'pictures are a column of bytes, or a struct with "bytes".'
    )


def _contents(chunk: Any) -> tuple[Any, Any]:
    """Return the arrays of bytes and of paths of one chunk of pictures."""
    if _is_binary(chunk.type):
        return chunk, None
    names = [chunk.type.field(i).name for i in range(chunk.type.num_fields)]
    columns = dict(zip(names, chunk.flatten(), strict=True))  # flatten, unlike field, minds slices and nulls
    return columns["bytes"], columns.get("path")


def _labels(tables: Sequence[Any], column: str | None) -> tuple[Labels, tuple[str, ...]]:
    if column is None:
        return from_names([None] * sum(len(table) for table in tables))
    known: dict[str, None] = {}
    values: list[Any] = []
    for table in tables:
        names = class_names(table.schema, column)
        known.update(dict.fromkeys(names))
        values += [_named(value, names) for value in table[column].to_pylist()]
    if any(isinstance(value, list) for value in values):
        return from_name_lists([value or [] for value in values], tuple(known))
    return from_names(values, tuple(known))


def _named(value: Any, names: Sequence[str]) -> Any:
    """A label as Parquet holds it -> a name, a list of names, or None."""
    if isinstance(value, list):
        return [name for name in (_named(item, names) for item in value) if name is not None]
    if value is None or (isinstance(value, int) and value < 0):
        return None
    return names[value] if isinstance(value, int) and value < len(names) else str(value)


def _groups(tables: Sequence[Any], without: set[str | None]) -> dict[str, NDArray[Any]]:
    import pyarrow.types as pt

    plain = [
        field.name
        for field in tables[0].schema
        if field.name not in without and not (pt.is_nested(field.type) or _is_binary(field.type))
    ]
    return {name: group([_plain(value) for table in tables for value in table[name].to_pylist()]) for name in plain}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _splits(names: Sequence[str], tables: Sequence[Any]) -> NDArray[Any] | None:
    """Read the split from names such as train-00000-of-00002.parquet, where every file has one."""
    words = [SPLITS.get(re.split(r"[-_.]", name.rsplit("/", 1)[-1].lower())[0]) for name in names]
    if None in words or len(names) == 1:
        return None
    return np.repeat(np.array(words), [len(table) for table in tables])
