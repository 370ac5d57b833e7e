"""Parquet in the Hugging Face image layout: a struct of bytes and path (or plain bytes), and a label."""

import re
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from diptych.data.messages import join_names, printable
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import ARCHIVE_ERRORS, Files, stays_inside
from diptych.data.sources.labelling.arrow_labels import (
    EXPLICIT_NAMES,
    class_names,
    is_binary,
    label_column,
    labels_of_columns,
    values_of,
)
from diptych.data.sources.labelling.columns import column_values, pop_origins
from diptych.data.sources.labelling.label_choice import AUTO, LabelChoice, log_reading
from diptych.data.sources.labelling.layout import SPLIT_NAMES
from diptych.data.sources.parquet_footer import check_footer
from diptych.data.sources.unpacked_size import (
    check_memory,
    check_unpacked,
    chunks_of,
    largest_dictionary,
    largest_unpacked,
)
from diptych.errors import DataError, PictureError
from diptych.resources import free_memory_bytes

#: Pictures that are copied at a time where they do not fit in memory.
_BATCH_PICTURES = 256
_BATCH_BYTES = 64_000_000


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
        name = name if isinstance(name, str) else None
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


def open_parquet(files: Files, names: Sequence[str], choice: LabelChoice = AUTO) -> Source:
    """Open one or more Parquet files as one source."""
    import pyarrow as pa

    schemas = [_read(files, name, partial(_schema, where=files.path(name))) for name in names]
    image = image_column(schemas[0], files.path(names[0]))
    columns = described_columns(schemas[0], image)
    try:
        for schema in schemas:
            for name in columns:
                schema.field(name)
        images = _pictures(files, names, image, schemas)
        tables = [_table(files, name, columns) for name in names]
    except (KeyError, pa.ArrowException) as error:
        raise DataError(f"The files beside {files.path(names[0])} do not hold the same columns: {error}") from None
    paths = [files.path(name) for name in names]
    described = dict(zip(paths, tables, strict=True))
    return source_of_tables(files, images, described, _splits(names), choice, join_names(paths))


def source_of_tables(
    files: Files,
    images: Any,
    tables: Mapping[str, Any],
    splits: Sequence[str] | None,
    choice: LabelChoice,
    where: str,
) -> Source:
    """Pictures in one Arrow column, described by tables of the same columns.

    Parameters
    ----------
    images
        Chunked array of bytes, or of structs with "bytes" and "path".
    tables
        Arrow tables by their names for messages; together they have a row for each picture.
    splits
        The part that each table is; ``None``: they are no parts.
    where
        All of them, for messages.
    """
    parts = list(tables.values())
    if len(images) != sum(len(table) for table in parts):
        raise DataError(f"{where} is damaged: its columns have different lengths. Write the file again.")
    label = None if choice.unlabelled else label_column(parts, choice, where)
    labels, classes = labels_of_columns(parts, label)
    groups = {name: _column(parts, name) for name in _plain_columns(parts[0].schema, {label})}
    if splits is not None:
        groups["split"] = np.repeat(np.array(splits), [len(table) for table in parts])
    origins = pop_origins(groups)
    paths = [f"{name}#{i}" for name, table in tables.items() for i in range(table.num_rows)]
    log_reading(where, groups.get("split"), labels, classes, f"the column {label}")
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins)
    return ParquetSource(images, files, metadata)


def described_columns(schema: Any, image: str) -> list[str]:
    """The columns to read beside the pictures: those that can be groups, and lists of labels."""
    wanted = {
        *_plain_columns(schema, {image}),
        *(n for n in schema.names if n in EXPLICIT_NAMES or class_names(schema, n)),
    }
    return [name for name in schema.names if name in wanted and name != image]


def _schema(file: Any, where: str) -> Any:
    schema = import_parquet().ParquetFile(file).schema_arrow
    check_footer(file, where)
    return schema


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
    except (pa.ArrowException, OSError, UnicodeDecodeError, *ARCHIVE_ERRORS) as error:
        raise DataError(f"{files.path(name)} is not a Parquet file that can be read: {error}") from None


def _pictures(files: Files, names: Sequence[str], column: str, schemas: Sequence[Any]) -> Any:
    """Read the column of pictures: into memory if it takes a quarter of what is free, else into a mapped file."""
    import pyarrow as pa

    kind = schemas[0].field(column).type
    if any(schema.field(column).type != kind for schema in schemas):
        raise KeyError(column)
    if sum(_read(files, name, lambda file: _bytes(file, column)) for name in names) <= free_memory_bytes() // 4:
        tables = [_table(files, name, [column]) for name in names]
        return pa.chunked_array([chunk for table in tables for chunk in table[column].chunks], kind)
    schema = pa.schema([pa.field(column, kind)])
    with tempfile.TemporaryDirectory() as folder:  # the mapping outlives the file's name
        copy = str(Path(folder, "pictures.arrow"))
        with pa.OSFile(copy, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for name in names:
                for batch in _batches(files, name, [column]):
                    writer.write_batch(pa.record_batch([batch.column(0)], schema=schema))
        return pa.ipc.open_file(pa.memory_map(copy)).read_all()[column]


def _bytes(file: Any, column: str) -> int:
    """What a column takes: what the footer says, or what it takes in the file where the footer says less."""
    chunks = chunks_of(import_parquet().ParquetFile(file).metadata, {column})
    return sum(max(chunk.total_uncompressed_size, chunk.total_compressed_size) for chunk in chunks)


def _table(files: Files, name: str, columns: list[str]) -> Any:
    """Columns of one file; at once where they cannot be large, else as far as they are in proportion to the file."""
    import pyarrow as pa

    batches = list(_batches(files, name, columns, within=free_memory_bytes() // 4))
    return batches[0] if isinstance(batches[0], pa.Table) else pa.Table.from_batches(batches)


def _batches(files: Files, name: str, columns: list[str], within: int = 0) -> Iterator[Any]:
    """Columns of one file as batches of rows; as one table where they take at most so many bytes.

    Raises
    ------
    DataError
        They unpack to far more than the file holds.
    """
    import pyarrow as pa

    packed, where, unpacked = files.size(name), files.path(name), 0
    try:
        with files.open(name) as file:
            parquet = import_parquet().ParquetFile(file)
            chunks = chunks_of(parquet.metadata, set(columns))
            stated = sum(chunk.total_uncompressed_size for chunk in chunks)
            check_unpacked(packed, stated, where)
            dictionary = largest_dictionary(file, parquet.metadata, set(columns))
            most = stated + dictionary * parquet.metadata.num_rows
            if most <= min(within, largest_unpacked(packed)):
                yield parquet.read(columns=columns)
                return
            rows = max(1, min(_BATCH_PICTURES, _BATCH_BYTES // max(1, dictionary)))
            empty = parquet.schema_arrow.empty_table().select(columns)
            yield from empty.to_batches() or [pa.RecordBatch.from_pylist([], empty.schema)]
            for batch in parquet.iter_batches(rows, columns=columns):
                unpacked += batch.nbytes
                check_unpacked(packed, unpacked, where)
                if within:
                    check_memory(unpacked, where)
                yield batch
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where} is not a Parquet file that can be read: {error}") from None


def image_column(schema: Any, where: str) -> str:
    """The first column of bytes, or of structs with "bytes"; raises DataError if there is none."""
    import pyarrow.types as pt

    for field in schema:
        struct = pt.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        struct = struct and is_binary(field.type.field("bytes").type)
        if struct or is_binary(field.type):
            return str(field.name)
    raise DataError(
        f"{where} has no column of pictures. It holds {', '.join(schema.names)}; "
        'pictures are a column of bytes, or a struct with "bytes".'
    )


def _contents(chunk: Any) -> tuple[Any, Any]:
    """Return the arrays of bytes and of paths of one chunk of pictures."""
    if is_binary(chunk.type):
        return chunk, None
    fields, path = chunk.flatten(), chunk.type.get_field_index("path")  # flatten, unlike field, minds slices and nulls
    return fields[chunk.type.get_field_index("bytes")], None if path < 0 else fields[path]


def _plain_columns(schema: Any, exclude: set[str | None]) -> list[str]:
    """Names of the columns that can be groups: neither nested nor bytes."""
    import pyarrow.types as pt

    return [
        str(field.name)
        for field in schema
        if field.name not in exclude and not (pt.is_nested(field.type) or is_binary(field.type))
    ]


def _column(tables: Sequence[Any], name: str) -> NDArray[Any]:
    return column_values([_plain(value) for table in tables for value in values_of(table, name)], name)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _splits(names: Sequence[str]) -> list[str] | None:
    """Read the split from names such as train-00000-of-00002.parquet, where every file has one."""
    parts = [SPLIT_NAMES.get(re.split(r"[-_.]", name.rsplit("/", 1)[-1].lower())[0]) for name in names]
    return None if len(names) == 1 or None in parts else [part for part in parts if part]
