"""Tables of any name beside or above pictures, such as labels.csv with the columns id and breed."""

import logging
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from diptych.data.messages import counted, join_names
from diptych.data.sources.base import unlabelled
from diptych.data.sources.files import Files, LocalFiles, Walk
from diptych.data.sources.labelling.annotations import SUFFIX, annotation_rows
from diptych.data.sources.labelling.columns import LabelColumns, group_columns, is_likely_label, label_columns
from diptych.data.sources.labelling.label_choice import LabelChoice, Reading
from diptych.data.sources.labelling.layout import Layout, split_of
from diptych.data.sources.labelling.picture_index import PictureIndex
from diptych.data.sources.labelling.tables import TABLE_SUFFIXES, Row, read_table
from diptych.errors import DataError, UsageError

log = logging.getLogger("diptych")
_MAX_TABLE_BYTES = 64_000_000
_MAX_TABLES = 20
_NEARLY_ALL = 0.9
_MIN_SHARE = 0.5  # of a table's rows, or of the pictures: a table that names fewer is about something else
_MAX_DISTINCT_SHARE = 0.5  # of the rows: a column with more values than that describes pictures and labels none
#: Columns of the tables that `diptych inspect` and `diptych predict` write: decisions and predictions, no labels.
_WRITTEN_HERE = ({"path", "action"}, {"label", "confidence"}, {"predicted"})


@dataclass(frozen=True)
class LabelTable:
    """A table, and which picture each of its rows is about.

    Attributes
    ----------
    name
        Relative to the folder of pictures or of the table, for the option.
    where
        Its path for messages.
    rows
        All of them.
    key
        The column that names the pictures.
    row_of
        Number of the picture -> its row.
    splits
        Number of the picture -> its part, where tables of several parts are joined.
    """

    name: str
    where: str
    rows: Sequence[Row]
    key: str
    row_of: Mapping[int, Row]
    splits: Mapping[int, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns but the one that names the pictures."""
        names = dict.fromkeys(name for row in self.row_of.values() for name in row.cells)
        return tuple(name for name in names if name and name != self.key)


def read_label_tables(
    files: Files, walk: Walk, layout: Layout, choice: LabelChoice, look_above: bool
) -> list[LabelTable]:
    """Read the tables that name these pictures, with or without folder and suffix; of a choice, that table.

    Parameters
    ----------
    look_above
        Whether to look into the folder above as well.

    Raises
    ------
    DataError
        The chosen table cannot be read, or names none of the pictures.
    UsageError
        There is no table of the chosen name.
    """
    tables = []
    index = PictureIndex(layout)
    for home, name in _candidates(files, walk, choice, look_above):
        where = home.path(name)
        try:
            data = home.read(name)
            rows = annotation_rows(data, where) if name.lower().endswith(SUFFIX) else read_table(data, where)
            part = split_of(PurePosixPath(name).stem)
            folder = posixpath.dirname(name) if home is files else ""
            table = LabelTable(name, where, rows, *index.match(rows, part, folder))
            _check_header(table, index, part)
        except DataError as error:
            if choice.table:
                raise
            if home is files:
                log.warning("No labels from a table: %s", error)
            continue
        if not choice.table and rows and any(columns <= rows[0].cells.keys() for columns in _WRITTEN_HERE):
            log.info("%s is a manifest or has predictions: its labels are not taken; --labels %s does.", where, name)
            continue
        if table.row_of and (choice.table or _names_enough(table, len(layout.pictures), above=home is not files)):
            tables.append(table)
        elif choice.table:
            raise DataError(f"{_names_too_few(table, layout)}. One of its columns must hold their file names.")
        elif look_above and home is files and rows and any(map(is_likely_label, rows[0].cells)):
            log.warning("No labels from a table: %s.", _names_too_few(table, layout))
    return tables


def read_labels(tables: Sequence[LabelTable], pictures: int, choice: LabelChoice, alone: bool) -> list[Reading]:
    """The readings of tables: one for each label column; tables of the same columns about other pictures are one.

    Parameters
    ----------
    pictures
        How many there are.
    alone
        Whether nothing else gives labels, so that a single further column is taken for them.

    Raises
    ------
    DataError
        A table cannot be read with certainty, and nothing else gives labels.
    """
    readings = []
    for table in _joined(tables):
        try:
            column = choice.column or _only_column(table, alone)
            read = label_columns(list(table.row_of.values()), table.where, column)
            if read is not None and read.classes:
                _check_repeated(table, read)
                readings.append(_reading(table, read, pictures))
        except DataError as error:
            if alone or choice.table:
                raise
            log.info("No labels from a table: %s", error)
    return readings


def is_answer_sample(path: str) -> bool:
    """Whether this is a competition's sample of answers: names of test pictures, with labels that mean nothing."""
    return path.lower().endswith(TABLE_SUFFIXES) and "submission" in PurePosixPath(path).name.lower()


def describe_columns(tables: Sequence[LabelTable]) -> str:
    """The columns that could be chosen as labels, with the number of their values: "sex (2), place (15)"."""
    columns = []
    for table in tables:
        for name in table.columns:
            values = {str(row.cells.get(name)) for row in table.row_of.values()}
            if 1 < len(values) <= _MAX_DISTINCT_SHARE * len(table.row_of):
                columns.append(f"{table.name}:{name} ({len(values)} values)")
    return join_names(columns, 8)


def _candidates(files: Files, walk: Walk, choice: LabelChoice, look_above: bool) -> Iterator[tuple[Files, str]]:
    """The tables to look at: those within the folder, and those in the folder above it."""
    exports = [name for name in walk.files if name.lower().endswith(SUFFIX)]
    names = [name for name in walk.files if name.lower().endswith(TABLE_SUFFIXES)]
    above = _tables_above(files)
    if choice.table:
        names += exports
        ends = [name for name in names if name == choice.table or name.endswith(f"/{choice.table}")]
        if ends:
            yield files, min(ends, key=len)
        elif Path(choice.table).is_file():
            yield LocalFiles(Path(choice.table).parent), Path(choice.table).name
        elif above is not None and above.exists(choice.table):
            yield above, choice.table
        else:
            known = join_names(names, 8) or "none"
            raise UsageError(f"There is no table {choice.table} in {files.path('')}. Tables there: {known}.")
        return
    looked_at = [(files, name) for name in names]
    if look_above:
        looked_at += [(files, name) for name in exports]
    if above is not None and look_above:
        looked_at += [(above, name) for name in _names_above(above)]
    for home, name in looked_at[:_MAX_TABLES]:
        if not is_answer_sample(name) and home.size(name) <= _MAX_TABLE_BYTES:
            yield home, name


def _tables_above(files: Files) -> LocalFiles | None:
    if not isinstance(files, LocalFiles) or not files.root:
        return None
    root = Path(os.path.abspath(files.root))  # noqa: PTH100 - ".." of a link is where the link lies
    return LocalFiles(root.parent) if root.parent != root else None


def _names_above(above: LocalFiles) -> list[str]:
    try:
        entries = sorted(os.scandir(above.root), key=lambda entry: entry.name)
    except OSError:
        return []
    return [e.name for e in entries if e.name.lower().endswith(TABLE_SUFFIXES) and above.exists(e.name)]


def _names_enough(table: LabelTable, pictures: int, above: bool) -> bool:
    """Whether a table is about these pictures, and has not only numbers that are file names as well."""
    matches = len(table.row_of)
    if above:  # it may be there by chance
        numbers = all(str(row.cells[table.key]).isdecimal() for row in table.row_of.values())
        return matches == pictures == len(table.rows) if numbers else matches >= _NEARLY_ALL * pictures
    return matches > 1 and matches >= _MIN_SHARE * min(len(table.rows), pictures)


def _check_header(table: LabelTable, index: PictureIndex, part: str | None) -> None:
    """Raise DataError for a table whose first line is about a picture, not about the columns."""
    numbered = any(map(str.isdigit, table.key))  # as "image" is not, which may be a column and a picture
    if numbered and index.match([Row(table.where, 1, {"": table.key})], part)[1]:
        raise DataError(
            f"{table.where} begins with a picture, {table.key}, not with the names of its columns. Put a line of them "
            "before the first one, such as: path,label"
        )


def _names_too_few(table: LabelTable, layout: Layout) -> str:
    first = next(iter(table.rows[0].cells.values()), "") if table.rows else "nothing"
    count = f"{len(table.row_of):,} of the" if table.row_of else "none of the"
    return (
        f"{table.where} names {count} {counted(len(layout.pictures), 'picture')}: it has {first}, the pictures are "
        f"such as {layout.pictures[0]}"
    )


def _joined(tables: Sequence[LabelTable]) -> list[LabelTable]:
    """Tables of the same columns about other pictures each, such as train.csv and test.csv, as one."""
    alike: dict[tuple[str, ...], list[LabelTable]] = {}
    for table in tables:
        alike.setdefault((table.key, *table.columns), []).append(table)
    joined = []
    for members in alike.values():
        row_of = {picture: row for table in members for picture, row in table.row_of.items()}
        if len(row_of) < sum(len(table.row_of) for table in members) or len(members) == 1:
            joined += members
            continue
        parts = [split_of(PurePosixPath(table.name).stem) for table in members]
        splits = {i: part for part, table in zip(parts, members, strict=True) for i in table.row_of if part}
        where = join_names([table.where for table in members])
        rows = [row for table in members for row in table.rows]
        joined.append(replace(members[0], where=where, rows=rows, row_of=row_of, splits=splits if all(parts) else {}))
    return joined


def _only_column(table: LabelTable, alone: bool) -> str | None:
    """The single column beside the names, if it has few values and nothing else gives labels; else ``None``."""
    if not alone or len(table.columns) != 1 or is_likely_label(table.columns[0]):
        return None
    values = {str(row.cells.get(table.columns[0])) for row in table.row_of.values()}
    return table.columns[0] if len(values) <= _MAX_DISTINCT_SHARE * len(table.row_of) else None


def _check_repeated(table: LabelTable, read: LabelColumns) -> None:
    """Raise DataError where two rows about one picture have different labels."""
    first = {(row.file, str(row.cells[table.key])): row for row in reversed(table.rows) if table.key in row.cells}
    for row in table.rows:
        other = first.get((row.file, str(row.cells.get(table.key))), row)
        if any(row.cells.get(name) != other.cells.get(name) for name in read.columns):
            raise DataError(
                f"{row.where}: {row.cells[table.key]} has another label than before ({other.where}). Several labels of "
                f"one picture are one cell, such as cat|dog; --labels none leaves the table out."
            )


def _reading(table: LabelTable, read: LabelColumns, pictures: int) -> Reading:
    """The reading of a table for all pictures; those that it does not name are unlabelled."""
    chosen = list(table.row_of)
    labels = np.zeros((pictures, len(read.classes)), bool) if read.labels.ndim == 2 else unlabelled(pictures)
    labels[chosen] = read.labels
    records = [table.row_of[i].cells if i in table.row_of else {} for i in range(pictures)]
    groups = group_columns(records, exclude={table.key, *read.columns})
    if table.splits:
        groups["split"] = np.array([table.splits.get(i, "train") for i in range(pictures)])
    option = table.name if len(read.columns) > 1 else f"{table.name}:{read.columns[0]}"
    where = join_names(list(dict.fromkeys(PurePosixPath(row.file).name for row in table.row_of.values())))
    return Reading(option, f"{read.description} of {where}", labels, read.classes, groups)
