"""``history.jsonl``: one record per tick, the source of truth for learning curves."""

import json
from pathlib import Path
from typing import Any

from diptych import files

Record = dict[str, Any]
FILE = "history.jsonl"


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
            files.write_text(self._path, "".join(json.dumps(r) + "\n" for r in self.records))


def read(path: Path) -> list[Record]:
    """The records of a ``history.jsonl``."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
