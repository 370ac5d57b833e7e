"""The one reader of tables about pictures: CSV, tab-separated or JSON lines, as spreadsheets and programs do."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from diptych import json_reader
from diptych.data.decoding.kinds import stand_in
from diptych.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
LABEL_FILE_SUFFIXES = (*TABLE_SUFFIXES, ".json")  # with the exports of annotation tools
SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
#: What is to be done with a spreadsheet, for a sentence.
SPREADSHEET = 'a spreadsheet, which is not read; save its sheet of labels as "CSV UTF-8"'
_SPREADSHEET_SIGNATURES = (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # of a zip and of Microsoft's compound files
_SEPARATORS = (",", ";", "\t", "|")
_UNSEEN = str.maketrans("", "", "\u200b\u2060\ufeff")  # of no width, as web pages have them
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t ]*\r?\n', re.IGNORECASE)  # the first line of tables for Excel


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
        The file's bytes, in UTF-8 or UTF-16.
    where
        The file's name for messages; one that ends in ".jsonl" has a JSON object in each line.

    Raises
    ------
    DataError
        It is no text or in another encoding, or a line does not fit; the message names the line and what to do.
    """
    what = SPREADSHEET if data.startswith(_SPREADSHEET_SIGNATURES) else stand_in(data)
    if what:
        raise DataError(f"{where} is {what}.")
    text = _decode(data, where)
    return list(_json_rows(text, where) if where.lower().endswith(".jsonl") else _text_rows(text, where))


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f'{where}, line {line}: the text is not UTF-8. Save the table as "CSV UTF-8" in the spreadsheet, or '
            f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {where.rsplit('/', 1)[-1]} > utf8.csv"
        ) from None


def _encoding(data: bytes) -> str:
    """UTF-16 by its mark or, without one, by the zero bytes of its Latin letters; else UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    first, second = data[:200:2].count(0), data[1:200:2].count(0)
    return "utf-8-sig" if first == second else "utf-16-le" if second > first else "utf-16-be"


def _text_rows(text: str, where: str) -> Iterator[Row]:
    if match := _SEPARATOR_LINE.match(text):
        text, separator = "\n" + text[match.end() :], match[1]
    else:
        header = next((line for line in text.splitlines() if line.strip()), "")
        separator = max(_SEPARATORS, key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    names: list[str] = []
    try:
        for cells in lines:
            values = [cell.translate(_UNSEEN).strip() for cell in cells]
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
        if any(isinstance(value, str) and len(value) > csv.field_size_limit() for value in record.values()):
            raise DataError(f"{where}, line {line}: a value has more than {csv.field_size_limit():,} characters.")
        yield Row(where, line, record)
