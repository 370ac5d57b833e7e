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

Row = dict[str, Any]  # {"path", "label", "confidence", "probabilities", "unknown", "set"} or {"path", "error"}
COLUMNS = ("path", "label", "confidence", "unknown", "error", "set")
ALTERNATIVES = 3  # named in a table
_SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".tsv": "tabs", ".txt": "tabs"}


class RowWriter:
    """Where rows go: printed as they come, or to a file, which is called FILE.part until it is whole.

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
            raise UsageError(f"{target} does not say its format. Give it the suffix {', '.join(_SUFFIXES)}.")
        if target and target.is_dir():
            raise UsageError(f"{target} is a folder. Name a file in it.")
        self._target = target
        self._stream: TextIO = _opened(_part(target)) if target else sys.stdout
        self._write = _WRITERS[kind](self._stream)

    def add(self, rows: list[Row]) -> None:
        """Write some rows."""
        for row in rows:
            self._write(row)
        self._stream.flush()

    def close(self) -> None:
        """Finish the file, if rows go to one."""
        if self._target:
            self._stream.close()
            _part(self._target).replace(self._target)
            console.log.info("The predictions are in %s", self._target)


def _part(target: Path) -> Path:
    """Where rows are kept until all are there; those of a run that was stopped stay in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.part")


def _opened(part: Path) -> TextIO:
    return part.open("w", encoding="utf-8", errors="backslashreplace", newline="")


Write = Callable[[Row], None]


def _as_json(stream: TextIO) -> Write:
    return lambda row: print(json.dumps(row, ensure_ascii=False, allow_nan=False), file=stream)


def _as_tabs(stream: TextIO) -> Write:
    return lambda row: print("\t".join(_flat(v) for v in _cells(row)).rstrip("\t"), file=stream)


def _as_csv(stream: TextIO) -> Write:
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    return lambda row: writer.writerow(_cells(row))


def _as_table(stream: TextIO) -> Write:
    width = max(20, min(60, shutil.get_terminal_size().columns - 34))

    def write(row: Row) -> None:
        path, label, confidence, unknown, error, _ = (_flat(v) for v in _cells(row))
        path = path if len(path) <= width else "…" + path[1 - width :]
        told = error or f"{label:<20}  {confidence}{_or_else(row)}"
        print(f"{path:<{width}}  {told}{'  (unlike the training pictures)' if unknown else ''}".rstrip(), file=stream)

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
    names, may_be = ";".join(_told(row)), ";".join(row.get("set", ()))
    return [row["path"], names, f"{row['confidence']:.4f}", "unknown" if row["unknown"] else "", "", may_be]


def _told(row: Row) -> list[str]:
    label = row["label"]
    return [label] if isinstance(label, str) else list(label or ())


def _or_else(row: Row) -> str:
    """What else it may be, in words: the labels of the set that are not told."""
    more = [name for name in row.get("set", ()) if name not in _told(row)]
    named = ", ".join(more[:ALTERNATIVES]) + (
        f" and {len(more) - ALTERNATIVES} more" if len(more) > ALTERNATIVES else ""
    )
    return _flat(f"  (or {named})") if more else ""


def _flat(text: str) -> str:
    """One cell on one line."""
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
