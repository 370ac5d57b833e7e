"""``history.jsonl``: one record per tick, the source of truth for learning curves."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from diptych import files, json_reader
from diptych.errors import DataError
from diptych.model_schema import Count, Seconds

Record = dict[str, Any]
FILE = "history.jsonl"


class TickRecord(Struct):
    """A line of ``history.jsonl``."""

    seen_pictures: Count
    seconds: Seconds = 0.0
    progress: float = 0.0
    losses: dict[str, float | None] = {}
    scores: dict[str, float | None] = {}


class History:
    """The records of a run, in memory and, where there is a folder, on disk.

    Parameters
    ----------
    folder
        The artefact's folder; ``None``: the records are held in memory only.
    seen_pictures
        Where the run continues: later records, whose steps will be repeated, are dropped.
    """

    def __init__(self, folder: Path | None, seen_pictures: int = 0) -> None:
        self._path = folder / FILE if folder else None
        self.records: list[Record] = []
        if self._path and self._path.exists() and seen_pictures:
            self.records = [r for r in read(self._path) if r["seen_pictures"] <= seen_pictures]

    def add(self, record: Record) -> None:
        """Append one record; one of the same moment, from before an interruption, is replaced."""
        self.records = [r for r in self.records if r["seen_pictures"] < record["seen_pictures"]] + [record]
        if self._path:
            files.write_text(self._path, "".join(map(files.json_line, self.records)))


def read(path: Path) -> list[Record]:
    """The records of a ``history.jsonl``.

    Raises
    ------
    DataError
        It is damaged.
    """
    records: list[Record] = []
    try:
        for line in json_reader.read_bytes(path).splitlines():
            if line.strip():
                record = json_reader.parse(line, foreign=True)  # earlier versions wrote NaN
                json_reader.convert(record, TickRecord, f"line {len(records) + 1}: $")
                records.append(record)
    except json_reader.JSONError as error:
        raise DataError(f"{path}: {error.reason}. It holds the learning curves alone: move it away.") from None
    return records
