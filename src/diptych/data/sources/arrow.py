"""Folders that Hugging Face's ``save_to_disk`` writes: Arrow files with state.json, one set or several by name."""

import json
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diptych import json_reader
from diptych.data.sources.base import Source
from diptych.data.sources.files import ARCHIVE_ERRORS, Files, LocalFiles, Walk, stays_inside
from diptych.data.sources.labelling.label_choice import LabelChoice
from diptych.data.sources.labelling.layout import split_of
from diptych.data.sources.parquet import described_columns, image_column, source_of_tables
from diptych.errors import DataError
from diptych.opening import NotAFileError, checked

STATE_FILE, INFO_FILE = "state.json", "dataset_info.json"


def find_saved_datasets(walk: Walk) -> list[str]:
    """The state.json of each set in a folder: its own, or those of the sets of a dictionary; [] if there is none."""
    states = [name for name in walk.files if posixpath.basename(name) == STATE_FILE]
    arrow = {posixpath.dirname(name) for name in walk.files if name.endswith(".arrow")}
    return [name for name in states if posixpath.dirname(name) in arrow]


def open_saved_datasets(files: Files, states: Sequence[str], choice: LabelChoice) -> Source:
    """Open saved sets as one source; those named train, test and so on are its parts.

    Raises
    ------
    DataError
        A file is damaged or missing, has no pictures, or has other columns than the first.
    """
    import pyarrow as pa

    shards = [(state, name) for state in states for name in _data_files(files, state)]
    if not shards:
        raise DataError(f"There is no picture in {files.path('')}.")
    tables = [_read(files, name, _features(files, posixpath.dirname(state))) for state, name in shards]
    where = files.path(shards[0][1])
    image = image_column(tables[0].schema, where)
    columns = described_columns(tables[0].schema, image)
    try:
        described = {files.path(name): table.select(columns) for (_, name), table in zip(shards, tables, strict=True)}
        chunks = [chunk for table in tables for chunk in table[image].chunks]
        images = pa.chunked_array(chunks, tables[0].schema.field(image).type)
    except (KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"The files beside {where} do not hold the same columns: {error}") from None
    splits = [split_of(posixpath.basename(posixpath.dirname(state))) for state, _ in shards]
    parts = [part for part in splits if part]
    parts_or_none = parts if len(parts) == len(splits) else None
    return source_of_tables(files, images, described, parts_or_none, choice, files.path(""))


def _data_files(files: Files, state: str) -> list[str]:
    """The Arrow files of a set, in their order."""
    content = _read_json(files, state)
    entries = content.get("_data_files") if isinstance(content, dict) else None
    names = [entry.get("filename") for entry in entries or () if isinstance(entry, dict)]
    if not names or not all(isinstance(name, str) and stays_inside(name) for name in names):
        raise DataError(f"{files.path(state)} names no data files. Save the set again with save_to_disk.")
    return [posixpath.join(posixpath.dirname(state), str(name)) for name in names]


def _features(files: Files, folder: str) -> Any:
    """What dataset_info.json says of the columns: class names, for files that do not hold them."""
    info = posixpath.join(folder, INFO_FILE)
    content = _read_json(files, info) if files.exists(info) else None
    return content.get("features") if isinstance(content, dict) else None


def _read_json(files: Files, name: str) -> Any:
    try:
        return json_reader.parse(files.read(name), foreign=True)
    except json_reader.JSONError as error:
        raise DataError(
            f"{files.path(name)} is not JSON that can be read: {error.reason}. Save the set again."
        ) from None


def _read(files: Files, name: str, features: Any) -> Any:
    """One Arrow file as a table; of a local file, pictures stay on the disk until they are read."""
    import pyarrow as pa

    try:
        local = isinstance(files, LocalFiles)
        source = pa.memory_map(str(checked(Path(files.root, name)))) if local else files.open(name)
        table = pa.ipc.open_stream(source).read_all()
        table.validate(full=True)  # Arrow itself trusts the lengths in the file, and would read outside of it
    except NotAFileError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, *ARCHIVE_ERRORS) as error:
        raise DataError(f"{files.path(name)} is not an Arrow file that can be read: {error}") from None
    if features and b"huggingface" not in (table.schema.metadata or {}):
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    return table
