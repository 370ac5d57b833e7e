"""Predictions as rows: a table on a terminal, tab-separated, CSV or JSON lines elsewhere."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from diptych.cli import console
from diptych.errors import UsageError
from diptych.files import check_output_file

Row = dict[str, Any]  # {"path", "label", "confidence", "probabilities", "unknown", "set"} or {"path", "error"}
COLUMNS = ("path", "label", "confidence", "unknown", "error", "set")
MAX_ALTERNATIVES = 3  # further labels of the prediction set named in a table
_SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".tsv": "tabs", ".txt": "tabs"}


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
        for row in rows:
            self._write(row)
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


Write = Callable[[Row], None]


def _as_json(stream: TextIO) -> Write:
    return lambda row: print(json.dumps(row, ensure_ascii=False, allow_nan=False), file=stream)


def _as_tabs(stream: TextIO) -> Write:
    return lambda row: print("\t".join(_one_line(v) for v in _cells(row)).rstrip("\t"), file=stream)


def _as_csv(stream: TextIO) -> Write:
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    return lambda row: writer.writerow(_cells(row))


def _as_table(stream: TextIO) -> Write:
    width = max(20, min(60, shutil.get_terminal_size().columns - 34))

    def write(row: Row) -> None:
        path, label, _, unknown, error, _ = (_one_line(v) for v in _cells(row))
        path = path if len(path) <= width else "…" + path[1 - width :]
        prediction = error or f"{label:<20}  {_percentage(row['confidence']):>5}{_alternatives(row)}"
        note = "  (unlike the training pictures)" if unknown else ""
        print(f"{path:<{width}}  {prediction}{note}".rstrip(), file=stream)

    return write


_WRITERS: dict[str, Callable[[TextIO], Write]] = {
    "json": _as_json,
    "tabs": _as_tabs,
    "csv": _as_csv,
    "table": _as_table,
}


def _cells(row: Row) -> list[str]:
    if "error" in row:
        return [row["path"], "", "", "", row["error"], ""]
    names, prediction_set = ";".join(_predicted(row)), ";".join(row.get("set", ()))
    return [row["path"], names, f"{row['confidence']:.4f}", "unknown" if row["unknown"] else "", "", prediction_set]


def _percentage(confidence: float) -> str:
    """A confidence as a person reads it, such as "63 %"."""
    return f"{100 * confidence:.0f} %"


def _predicted(row: Row) -> list[str]:
    """The predicted labels: one, or any number of a recognizer of several labels."""
    label = row["label"]
    return [label] if isinstance(label, str) else list(label or ())


def _alternatives(row: Row) -> str:
    """The labels of the prediction set that are not predicted, such as ``"  (or dog, fox)"``."""
    more = [name for name in row.get("set", ()) if name not in _predicted(row)]
    named = ", ".join(more[:MAX_ALTERNATIVES]) + (
        f" and {len(more) - MAX_ALTERNATIVES} more" if len(more) > MAX_ALTERNATIVES else ""
    )
    return _one_line(f"  (or {named})") if more else ""


def _one_line(text: str) -> str:
    """The text without tabs and line breaks."""
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
