"""Predictions as rows: a table on a terminal, tab-separated, CSV or JSON lines elsewhere."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from diptych.cli import console
from diptych.cli.text_rows import TextRows
from diptych.data.messages import join_names
from diptych.errors import UsageError
from diptych.escaping import for_spreadsheet
from diptych.files import check_output_file

Row = dict[str, Any]  # {"path", "label", "confidence", "probabilities", "unknown", "set"} or {"path", "error"}
COLUMNS = ("path", "label", "confidence", "unknown", "error", "set")  # of CSV
TEXT_COLUMNS = ("path", "label", "confidence", "note")
MAX_ALTERNATIVES = 3  # further labels of the prediction set named in a note
_SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".tsv": "tab file", ".txt": "tab file"}


class RowWriter:
    """Writes rows to stdout as they come, or to a file, which is named FILE.part until it is complete.

    Raises
    ------
    UsageError
        The file's suffix names no format, or it is a folder.
    """

    def __init__(self, *, as_json: bool, file: Path | None, csv_file: Path | None) -> None:
        target = csv_file or file
        if csv_file and file:
            raise UsageError("Give either --csv FILE or -o FILE, not both.")
        if csv_file and as_json:
            raise UsageError("Give either --csv FILE or --json, not both; -o FILE.json writes JSON lines to a file.")
        kind = "json" if as_json else "table" if sys.stdout.isatty() and not target else "tabs"
        if target and not as_json:
            kind = "csv" if csv_file else _SUFFIXES.get(target.suffix.lower(), "")
        if not kind:
            raise UsageError(f"{target} does not name a format. Give it the suffix {', '.join(_SUFFIXES)}.")
        if target:
            check_output_file(target)
        self._target = target
        self._stream: TextIO = _open_text(_part_path(target)) if target else sys.stdout
        self._write = _WRITERS[kind](self._stream)

    def add(self, rows: list[Row]) -> None:
        """Write further rows."""
        self._write(rows)
        self._stream.flush()

    def close(self) -> None:
        """Finish the file, if rows go to one."""
        if self._target:
            self._stream.close()
            _part_path(self._target).replace(self._target)
            console.log.info("The predictions are in %s", self._target)


def _part_path(target: Path) -> Path:
    """The file of rows until all are written; after a stopped run its rows stay there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.part")


def _open_text(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")


Write = Callable[[list[Row]], None]


def _as_json(stream: TextIO) -> Write:
    def write(rows: list[Row]) -> None:
        for row in rows:
            print(console.json_line(row, stream), file=stream)

    return write


def _as_csv(stream: TextIO) -> Write:
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    return lambda rows: writer.writerows(map(for_spreadsheet, _cells(row)) for row in rows)


def _as_tabs(stream: TextIO) -> Write:
    text = TextRows(stream, TEXT_COLUMNS, aligned=False)
    return lambda rows: text.add([_text_cells(row, _four_digits) for row in rows])


def _as_tab_file(stream: TextIO) -> Write:
    text = TextRows(stream, TEXT_COLUMNS, aligned=False)
    return lambda rows: text.add([list(map(for_spreadsheet, _text_cells(row, _four_digits))) for row in rows])


def _four_digits(confidence: float) -> str:
    return f"{confidence:.4f}"


def _as_table(stream: TextIO) -> Write:
    text = TextRows(stream, TEXT_COLUMNS, aligned=True, right=["confidence"])
    return lambda rows: text.add([_text_cells(row, lambda confidence: f"{100 * confidence:.0f} %") for row in rows])


_WRITERS: dict[str, Callable[[TextIO], Write]] = {
    "json": _as_json,
    "tabs": _as_tabs,
    "tab file": _as_tab_file,
    "csv": _as_csv,
    "table": _as_table,
}


def _cells(row: Row) -> list[str]:
    """The cells of CSV, each with one meaning."""
    if "error" in row:
        return [row["path"], "", "", "", row["error"], ""]
    names, prediction_set = ";".join(_predicted(row)), ";".join(row.get("set", ()))
    return [row["path"], names, f"{row['confidence']:.4f}", "unknown" if row["unknown"] else "", "", prediction_set]


def _text_cells(row: Row, number: Callable[[float], str]) -> list[str]:
    """The cells of text; all that is said of few pictures is a note."""
    if "error" in row:
        return [row["path"], "", "", row["error"]]
    notes = ["unknown: unlike the training pictures"] * row["unknown"] + _alternatives(row)
    return [row["path"], ";".join(_predicted(row)), number(row["confidence"]), ", ".join(notes)]


def _predicted(row: Row) -> list[str]:
    """The predicted labels: one, or any number of a recognizer of several labels."""
    label = row["label"]
    return [label] if isinstance(label, str) else list(label or ())


def _alternatives(row: Row) -> list[str]:
    """The labels of the prediction set that are not predicted, as a note such as "or dog, fox"; none: no note."""
    more = [name for name in row.get("set", ()) if name not in _predicted(row)]
    return [f"or {join_names(more, MAX_ALTERNATIVES)}"] if more else []
