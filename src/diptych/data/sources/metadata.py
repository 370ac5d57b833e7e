"""A folder with metadata.csv or metadata.jsonl: one row for each picture, with its label or labels, and groups."""

import csv
import io
import json
import logging
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.labels import Labels, labels_from_name_lists, labels_from_names
from diptych.data.messages import join_names
from diptych.data.sources.base import ORIGINS, Metadata, Source
from diptych.data.sources.files import Files, stays_inside
from diptych.data.sources.folder import SPLIT_NAMES, FileSource
from diptych.errors import DataError, PictureError

log = logging.getLogger("diptych")
FILE_NAMES = ("metadata.csv", "metadata.jsonl")


def find_metadata(files: Files) -> list[str]:
    """Name the metadata file of a folder, or those of its train, validation and test folders; [] if none."""
    own = [name for name in FILE_NAMES if files.exists(name)]
    if own:
        return own[:1]
    return [
        f"{part}/{name}"
        for part in files.folders()
        if part.lower() in SPLIT_NAMES
        for name in FILE_NAMES
        if files.exists(f"{part}/{name}")
    ]


def open_metadata(files: Files, tables: Sequence[str]) -> Source:
    """Open a folder by its metadata files; the rows keep their order."""
    present: list[dict[str, Any]] = []
    missing: list[PictureError] = []
    for table in tables:
        part = posixpath.dirname(table)
        split = {"split": SPLIT_NAMES[part.lower()]} if part.lower() in SPLIT_NAMES else {}
        for record in _read(files, table):
            name = posixpath.normpath(str(record["file_name"]).replace("\\", "/"))
            within = stays_inside(name)
            name = posixpath.join(part, name)
            if within and files.exists(name):
                present.append({**split, **record, "file_name": name})
            else:
                why = "not there" if within else "outside the folder"
                missing.append(PictureError(f"named in {files.path(table)}, but {why}", files.path(name)))
    where = join_names([files.path(table) for table in tables])
    if missing:
        reasons = join_names([str(error) for error in missing])
        log.warning("%s: %d of the files that it names were left out: %s.", where, len(missing), reasons)
    if not present:
        raise DataError(f"None of the files named in {where} is there.")
    return _source(files, present, tuple(missing))


def _read(files: Files, table: str) -> list[dict[str, Any]]:
    where = files.path(table)
    text = files.read(table).decode("utf-8-sig", "surrogateescape")
    records = _records(text, where) if table.endswith(".jsonl") else _table(text, where)
    if not records or any("file_name" not in record for record in records):
        raise DataError(f'{where} needs a "file_name" for every picture.')
    return records


def group_columns(records: Sequence[Mapping[str, Any]], exclude: set[str]) -> dict[str, NDArray[Any]]:
    """Turn the further columns of records into groups: numbers if every value is one, else text."""
    names = dict.fromkeys(name for record in records for name in record if name and name not in exclude)
    return {name: column_values([record.get(name) for record in records]) for name in names}


def column_values(values: Sequence[Any]) -> NDArray[Any]:
    """Turn the values of one column into an array: whole numbers, numbers, or text ("" for a missing one)."""
    text = ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    for kind in (int, float):
        try:
            return np.array([kind(item) for item in text])
        except (ValueError, OverflowError):
            continue
    return np.array(text, dtype=np.str_)


def pop_origins(groups: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    """Remove and return the column "origin" of the groups, if its values are real, synthetic or composite."""
    if "origin" in groups and set(groups["origin"].tolist()) <= set(ORIGINS):
        return groups.pop("origin")
    return None


def labels_of_records(records: Sequence[Mapping[str, Any]]) -> tuple[Labels, tuple[str, ...]]:
    """Read ``labels`` (any number of names) or ``label`` (one name; a list makes all of them lists)."""
    if any("labels" in record for record in records):
        return labels_from_name_lists([_split_labels(record.get("labels")) for record in records])
    values = [record.get("label") for record in records]
    if any(isinstance(value, list) for value in values):
        return labels_from_name_lists([_split_labels(value) for value in values])
    return labels_from_names([None if value is None else _name(value) for value in values])


def _source(files: Files, records: Sequence[Mapping[str, Any]], missing: tuple[PictureError, ...]) -> Source:
    labels, classes = labels_of_records(records)
    groups = group_columns(records, exclude={"file_name", "label", "labels"})
    origins = pop_origins(groups)
    names = [str(record["file_name"]) for record in records]
    paths = [files.path(name) for name in names]
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins, skipped=missing)
    return FileSource(files, names, metadata)


def _table(text: str, where: str) -> list[dict[str, Any]]:
    header = text.split("\n", 1)[0]
    separator = max((",", ";", "\t"), key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restkey="", strict=True)
    try:
        return [{(name or "").strip(): value for name, value in row.items()} for row in rows]
    except csv.Error as error:  # such as an unclosed quotation mark, which would swallow the rows after it
        raise DataError(f"{where}, line {rows.line_num}: {error}. Correct the line.") from None


def _records(text: str, where: str) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise DataError(f"{where}, line {number}: not a JSON object.")
        records.append(record)
    return records


def _split_labels(value: Any) -> list[str]:
    """The names in ["a", "b"], '["a", "b"]', "a|b" or "a; b"."""
    if isinstance(value, list):
        return [_name(item) for item in value]
    text = "" if value is None else _name(value)
    if text.startswith("["):
        try:
            return [_name(item) for item in json.loads(text)]
        except ValueError:
            pass
    return [name.strip() for name in text.replace(";", "|").split("|") if name.strip()]


def _name(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value)
