"""Columns of a table about pictures: which of them is the label, how its cells are read, and the groups that remain."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych import json_reader
from diptych.data.labels import Labels, labels_from_name_lists, labels_from_names
from diptych.data.sources.base import ORIGINS
from diptych.data.sources.labelling.label_choice import Reading, choose
from diptych.data.sources.labelling.tables import Row
from diptych.data.sources.unpacked_size import MAX_RATIO
from diptych.errors import DataError

#: Names of label columns that decide by themselves, the first of them present; and those of which one may be meant.
EXPLICIT_NAMES = ("labels", "label")
LIKELY_NAMES = re.compile(
    "class|classes|category|categories|target|breed|species|diagnosis|dx|tags?|class_name|class_label|label_name|"
    "category_name|fine_label|coarse_label|finding_labels|image_label|true_label|ground_truth|y"
)
_LIST_SEPARATORS = re.compile(r"\s*[|;]\s*")
_MIN_INDICATORS = 2
_CHARACTER_BYTES = 4  # in an array, where every cell is as wide as the longest
_MAX_COLUMN_BYTES = 100_000_000


@dataclass(frozen=True)
class LabelColumns:
    """The label of each row, and the columns that it was read from."""

    labels: Labels
    classes: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def description(self) -> str:
        """For a sentence: "the column breed", "4 columns of 0 and 1 (MEL to BCC)"."""
        if len(self.columns) == 1:
            return f"the column {self.columns[0]}"
        return f"{len(self.columns)} columns of 0 and 1 ({self.columns[0]} to {self.columns[-1]})"


def label_columns(rows: Sequence[Row], where: str, column: str | None = None) -> LabelColumns | None:
    """Read the labels of a table's rows; ``None`` if no column looks like one.

    Parameters
    ----------
    column
        The one to take; ``None``: "labels" or "label", else the one with a likely name, else the columns of 0 and 1
        of which each row has one 1.

    Raises
    ------
    DataError
        The table has no such column, several may be meant, or a cell cannot be read with certainty.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.cells))
    if column is not None:
        if column not in names:
            raise DataError(f"{where} has no column {column}. It has {', '.join(name for name in names if name)}.")
        return _of_column(rows, column, chosen=True)
    for name in EXPLICIT_NAMES:
        if name in names:
            return _of_column(rows, name)
    likely = [name for name in names if is_likely_label(name)]
    readings = [(read, Reading(name, read.description, read.labels, read.classes))
                for name in likely if (read := _of_column(rows, name)).classes]  # fmt: skip
    chosen = choose([reading for _, reading in readings], where)
    if chosen is not None:
        return next(read for read, reading in readings if reading is chosen)
    indicators = indicator_columns(rows, names)
    return _of_indicators(rows, indicators) if indicators else None


def is_likely_label(name: str) -> bool:
    """Whether a column of this name, in whatever spelling ("Finding Labels"), holds labels as a rule."""
    plain = re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
    return plain in EXPLICIT_NAMES or LIKELY_NAMES.fullmatch(plain) is not None


def indicator_columns(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """The columns that hold nothing but 0 and 1, if each row has a 1 in one of them or they are all but the first."""
    indicators = [name for name in names if name and all(_indicator(row.cells.get(name)) is not None for row in rows)]
    if len(indicators) < _MIN_INDICATORS or not rows:
        return []
    sums = {sum(_indicator(row.cells[name]) or 0 for name in indicators) for row in rows}
    return indicators if sums == {1} or (len(indicators) == len(names) - 1 and max(sums) > 0) else []


def group_columns(records: Sequence[Mapping[str, Any]], exclude: set[str]) -> dict[str, NDArray[Any]]:
    """Turn the further columns of records into groups: numbers if every value is one, else text."""
    names = dict.fromkeys(name for record in records for name in record if name and name not in exclude)
    return {name: column_values([record.get(name) for record in records], name) for name in names}


def column_values(values: Sequence[Any], name: str) -> NDArray[Any]:
    """Turn the values of a column of this name into an array: whole numbers, numbers, or text ("" for a missing one).

    Raises
    ------
    DataError
        A cell is so long that the rest, as wide in an array, would take far more than the text.
    """
    text = ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    for kind in (int, float):
        try:
            return np.array([kind(item) for item in text])
        except (ValueError, OverflowError):
            continue
    longest = max(map(len, text), default=0)
    unpacked = _CHARACTER_BYTES * longest * len(text)
    if unpacked > _MAX_COLUMN_BYTES and unpacked > MAX_RATIO * sum(map(len, text)):
        raise DataError(
            f"The column {name} has a cell of {longest:,} characters, and takes {unpacked / 1e6:,.0f} MB as a column "
            f"of {len(text):,} rows; the limit is {_MAX_COLUMN_BYTES // 1_000_000} MB. Shorten the cell, or remove the "
            "column."
        )
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


def _of_column(rows: Sequence[Row], column: str, chosen: bool = False) -> LabelColumns:
    values = [row.cells.get(column) for row in rows]
    own = any("origin" in row.cells for row in rows)  # of the tables that Diptych writes, names are taken as they are
    lists = any(isinstance(value, list) or (isinstance(value, str) and value.startswith("[")) for value in values)
    if column == "labels":
        several = own or lists or "file_name" in rows[0].cells or _holds_several(rows, column, chosen)
    else:
        several = any(isinstance(value, list) for value in values) or (not own and _holds_several(rows, column, chosen))
    if several:
        return LabelColumns(*labels_from_name_lists([_split_labels(value) for value in values]), (column,))
    return LabelColumns(*labels_from_names([None if value is None else _name(value) for value in values]), (column,))


def _holds_several(rows: Sequence[Row], column: str, chosen: bool) -> bool:
    """Whether cells of text hold several labels each: "cat|dog" where others hold "cat", or other mixtures of these.

    Raises
    ------
    DataError
        They seem to, with a comma or a space between, which names have as well ("golden retriever").
    """
    where_of: dict[str, str] = {}
    for row in rows:
        if isinstance(row.cells.get(column), str):
            where_of.setdefault(row.cells[column], row.where)
    if _recombine(where_of, _LIST_SEPARATORS, any):
        return True
    for separator, word, alone in ((re.compile(r"\s*,\s*"), "a comma", any), (re.compile(r"\s+"), "a space", all)):
        if not chosen and _recombine(where_of, separator, alone):
            cell = next(cell for cell in where_of if separator.search(cell))
            raise DataError(
                f'{where_of[cell]}: "{cell}" in the column {column} is either one label or several, with '
                f'{word} between. For several write "{"|".join(separator.split(cell))}"; for one, choose the column: '
                f"--labels {column}."
            )
    return False


def _recombine(cells: Mapping[str, str], separator: re.Pattern[str], alone: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether the parts of cells are labels: fewer than cells, or any (all) of a cell's stand alone in other cells."""
    parts = {cell: [part for part in separator.split(cell) if part] for cell in cells if cell}
    joined = [items for items in parts.values() if len(items) > 1]
    distinct = {part for items in parts.values() for part in items}
    return bool(joined) and (
        len(distinct) < len(parts) or any(alone(part in cells for part in items) for items in joined)
    )


def _of_indicators(rows: Sequence[Row], names: Sequence[str]) -> LabelColumns:
    lists = [[name for name in names if _indicator(row.cells[name])] for row in rows]
    if max(map(len, lists)) > 1:
        return LabelColumns(*labels_from_name_lists(lists), tuple(names))
    return LabelColumns(*labels_from_names([next(iter(items), None) for items in lists]), tuple(names))


def _indicator(value: Any) -> int | None:
    """0 or 1, as "0", "1.0" or a number; ``None`` if it is neither."""
    try:
        number = float(value) if value is not None else -1.0
    except (TypeError, ValueError):
        return None
    return int(number) if number in (0.0, 1.0) else None


def _split_labels(value: Any) -> list[str]:
    """The names in ["a", "b"], '["a", "b"]', "a|b" or "a; b"."""
    if isinstance(value, list):
        return [_name(item) for item in value]
    text = "" if value is None else _name(value)
    if text.startswith("["):
        try:
            return [_name(item) for item in json_reader.convert(json_reader.parse(text), list)]
        except json_reader.JSONError:
            pass
    return [name.strip() for name in _LIST_SEPARATORS.split(text) if name.strip()]


def _name(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value)
