"""The one reader of tables about pictures: CSV, tab-separated or JSON lines, as spreadsheets and programs do."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from diptych import json_reader
from diptych.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
LABEL_FILE_SUFFIXES = (*TABLE_SUFFIXES, ".json")  # with the exports of annotation tools
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    file, line
        Where it ends, for messages; lines count from 1.
    cells
        Its values by column: text without spaces around it, or what a JSON object holds.
    """

    file: str
    line: int
    cells: dict[str, Any]

    @property
    def where(self) -> str:
        """For messages: "pets.csv, line 7"."""
        return f"{self.file}, line {self.line}"


def read_table(data: bytes, where: str) -> list[Row]:
    """Read a table; a first line of column names is required, rows without any value are passed over.

    Parameters
    ----------
    data
        The file's bytes, in UTF-8, or in UTF-16 with its mark.
    where
        The file's name for messages; one that ends in ".jsonl" has a JSON object in each line.

    Raises
    ------
    DataError
        It is in another encoding, or a line does not fit; the message names the line and what to do.
    """
    text = _decode(data, where)
    return list(_json_rows(text, where) if where.lower().endswith(".jsonl") else _text_rows(text, where))


def _decode(data: bytes, where: str) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f'{where}, line {line}: the text is not UTF-8. Save the table as "CSV UTF-8" in the spreadsheet, or '
            f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {where.rsplit('/', 1)[-1]} > utf8.csv"
        ) from None


def _text_rows(text: str, where: str) -> Iterator[Row]:
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    names: list[str] = []
    try:
        for cells in lines:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if not names:
                names = _column_names(values, where)
                continue
            if any(values[len(names) :]):
                raise DataError(
                    f"{where}, line {lines.line_num}: more cells than the first line has columns ({len(values)}, not "
                    f'{len(names)}). Put a value that has "{separator}" in it in quotation marks.'
                )
            yield Row(where, lines.line_num, dict(zip(names, values, strict=False)))
    except csv.Error as error:  # such as an unclosed quotation mark, which would swallow the rows after it
        raise DataError(f"{where}, line {lines.line_num}: {error}. Correct the line.") from None


def _column_names(values: list[str], where: str) -> list[str]:
    repeated = next((name for i, name in enumerate(values) if name and name in values[:i]), None)
    if repeated is not None:
        raise DataError(f'{where}: two columns have the name "{repeated}". Rename one of them.')
    return values


def _json_rows(text: str, where: str) -> Iterator[Row]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            record = json_reader.parse(content, foreign=True)
        except json_reader.JSONError as error:
            raise DataError(f"{where}, line {line}: not a JSON object: {error.reason}. Correct the line.") from None
        if not isinstance(record, dict):
            raise DataError(f"{where}, line {line}: not a JSON object.")
        yield Row(where, line, record)
