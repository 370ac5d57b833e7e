"""Parquet in the Hugging Face image layout: a struct of bytes and path (or plain bytes), and a label."""

import json
import re
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from diptych.data.labels import Labels, labels_from_name_lists, labels_from_names
from diptych.data.messages import printable
from diptych.data.resources import free_memory_bytes
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import Files, stays_inside
from diptych.data.sources.folder import SPLIT_NAMES
from diptych.data.sources.metadata import column_values, pop_origins
from diptych.errors import DataError, PictureError

#: Pictures that are copied at a time where they do not fit in memory.
_BATCH_PICTURES = 256
_LABEL_NAMES = ("label", "labels", "fine_label", "class", "category", "target")


class ParquetSource(Source):
    """Pictures in Arrow's own buffers: never copied, never converted to Python objects all at once."""

    def __init__(self, images: Any, files: Files, metadata: Metadata) -> None:
        self._chunks = [_contents(chunk) for chunk in images.chunks]
        self._starts = [0, *accumulate(len(chunk) for chunk, _ in self._chunks)]
        self._files = files
        super().__init__(metadata)

    def read(self, row: int) -> bytes | memoryview:
        """See :class:`Source`."""
        chunk = bisect_right(self._starts, row) - 1
        index = row - self._starts[chunk]
        contents, paths = self._chunks[chunk]
        data = contents[index].as_buffer()
        if data is not None:
            return memoryview(data)
        name = None if paths is None else paths[index].as_py()
        if name and not stays_inside(name):
            raise PictureError(f"it names {printable(name)}, outside the folder", self.metadata.paths[row])
        if name and self._files.exists(name):
            return self._files.read(name)
        raise PictureError("the row holds no picture", self.metadata.paths[row])

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        try:
            return crc32(self.read(row)).to_bytes(4, "little")
        except PictureError:
            return b"none"


def open_parquet(files: Files, names: Sequence[str]) -> Source:
    """Open one or more Parquet files as one source."""
    import pyarrow as pa

    schemas = [_read(files, name, lambda file: import_parquet().ParquetFile(file).schema_arrow) for name in names]
    image = _image_column(schemas[0], files.path(names[0]))
    label = next((name for name in _LABEL_NAMES if name in schemas[0].names and name != image), None)
    columns = [name for name in (label, *_plain_columns(schemas[0], {image, label})) if name is not None]
    try:
        for schema in schemas:
            for name in columns:
                schema.field(name)
        images = _pictures(files, names, image, schemas)
        tables = [
            _read(files, name, lambda file: import_parquet().ParquetFile(file).read(columns=columns)) for name in names
        ]
        labels, classes = _labels(tables, label)
        groups = {name: _column(tables, name) for name in columns if name != label}
    except (KeyError, pa.ArrowException) as error:
        raise DataError(f"The files beside {files.path(names[0])} do not hold the same columns: {error}") from None
    splits = _splits(names, tables)
    if splits is not None:
        groups["split"] = splits
    origins = pop_origins(groups)
    paths = [
        f"{files.path(name)}#{i}" for name, table in zip(names, tables, strict=True) for i in range(table.num_rows)
    ]
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins)
    return ParquetSource(images, files, metadata)


def class_names(schema: Any, column: str) -> list[str]:
    """Read the class names of a column from the description that Hugging Face keeps beside the schema; [] if none."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
    except (KeyError, TypeError, ValueError):
        return []
    while isinstance(feature, (list, dict)) and "names" not in feature:  # a sequence of class labels is wrapped
        feature = feature.get("feature") if isinstance(feature, dict) else next(iter(feature), None)
    return [str(name) for name in feature["names"]] if isinstance(feature, dict) else []


def import_parquet() -> Any:
    """Pyarrow's Parquet module, loaded when a Parquet file is opened and not before."""
    import pyarrow.parquet

    return pyarrow.parquet


def _read(files: Files, name: str, reader: Callable[[Any], Any]) -> Any:
    """The result of ``reader`` for one opened file."""
    import pyarrow as pa

    try:
        with files.open(name) as file:
            return reader(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{files.path(name)} is not a Parquet file that can be read: {error}") from None


def _pictures(files: Files, names: Sequence[str], column: str, schemas: Sequence[Any]) -> Any:
    """Read the column of pictures: into memory if it takes a quarter of what is free, else into a mapped file."""
    import pyarrow as pa

    kind = schemas[0].field(column).type
    if any(schema.field(column).type != kind for schema in schemas):
        raise KeyError(column)
    if sum(files.size(name) for name in names) <= free_memory_bytes() // 4:
        tables = [
            _read(files, name, lambda file: import_parquet().ParquetFile(file).read(columns=[column])) for name in names
        ]
        return pa.chunked_array([chunk for table in tables for chunk in table[column].chunks], kind)
    schema = pa.schema([pa.field(column, kind)])
    with tempfile.TemporaryDirectory() as folder:  # the mapping outlives the file's name
        copy = str(Path(folder, "pictures.arrow"))
        with pa.OSFile(copy, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for name in names:
                _read(files, name, lambda file: _copy(file, column, writer, schema))
        return pa.ipc.open_file(pa.memory_map(copy)).read_all()[column]


def _copy(file: Any, column: str, writer: Any, schema: Any) -> None:
    import pyarrow as pa

    for batch in import_parquet().ParquetFile(file).iter_batches(_BATCH_PICTURES, columns=[column]):
        writer.write_batch(pa.record_batch([batch.column(0)], schema=schema))


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
        return labels_from_names([None] * sum(len(table) for table in tables))
    classes: dict[str, None] = {}
    values: list[Any] = []
    for table in tables:
        names = class_names(table.schema, column)
        classes.update(dict.fromkeys(names))
        values += [_to_names(value, names) for value in table[column].to_pylist()]
    if any(isinstance(value, list) for value in values):
        return labels_from_name_lists([value or [] for value in values], tuple(classes))
    return labels_from_names(values, tuple(classes))


def _to_names(value: Any, names: Sequence[str]) -> Any:
    """A label as Parquet holds it to a name, a list of names, or None."""
    if isinstance(value, list):
        return [name for name in (_to_names(item, names) for item in value) if name is not None]
    if value is None or (isinstance(value, int) and value < 0):
        return None
    return names[value] if isinstance(value, int) and value < len(names) else str(value)


def _plain_columns(schema: Any, exclude: set[str | None]) -> list[str]:
    """Names of the columns that can be groups: neither nested nor bytes."""
    import pyarrow.types as pt

    return [
        str(field.name)
        for field in schema
        if field.name not in exclude and not (pt.is_nested(field.type) or _is_binary(field.type))
    ]


def _column(tables: Sequence[Any], name: str) -> NDArray[Any]:
    return column_values([_plain(value) for table in tables for value in table[name].to_pylist()])


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _splits(names: Sequence[str], tables: Sequence[Any]) -> NDArray[Any] | None:
    """Read the split from names such as train-00000-of-00002.parquet, where every file has one."""
    parts = [SPLIT_NAMES.get(re.split(r"[-_.]", name.rsplit("/", 1)[-1].lower())[0]) for name in names]
    if None in parts or len(names) == 1:
        return None
    return np.repeat(np.array(parts), [len(table) for table in tables])
