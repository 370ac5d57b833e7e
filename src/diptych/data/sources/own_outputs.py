"""What ``sample``, ``edit`` and ``balance`` have written besides pictures to use, known by their records.

In a folder that one of them wrote, the sheet, the film, the table and the record are no pictures of the set. The
results of an edit are none either where they lie inside another folder; where a person names the edit's own folder,
they are meant.
"""

import posixpath
from typing import Any

from diptych import json_reader
from diptych.data.sources.files import Files, Walk
from diptych.errors import PictureError

SAMPLE_RECORD, EDIT_RECORD, BALANCE_RECORD = "sample.json", "edit.json", "balance.json"
SAMPLE_FILES = (SAMPLE_RECORD, "metadata.csv", "grid.png")  # besides its pictures
EDIT_FILES = (EDIT_RECORD, "metadata.csv")
BALANCE_FILES = (BALANCE_RECORD, "metadata.csv", "report.html")


def own_outputs(files: Files, walk: Walk) -> list[str]:
    """The names, in the order of the walk, of the files that are passed over."""
    names: set[str] = set()
    for name in walk.files:
        folder, record = posixpath.split(name)
        if record == SAMPLE_RECORD and _facts(files, name, "weights_sha256"):
            names |= {posixpath.join(folder, other) for other in SAMPLE_FILES}
        elif record == BALANCE_RECORD and _facts(files, name, "generated"):
            names |= {posixpath.join(folder, other) for other in BALANCE_FILES}
        elif record == EDIT_RECORD and (facts := _facts(files, name, "edit")):
            others = [*EDIT_FILES, *_names(facts.get("others"))]
            results = _names(facts.get("files")) if folder else []
            names |= {posixpath.join(folder, other) for other in [*others, *results]}
    return [name for name in walk.files if name in names]


def _facts(files: Files, name: str, key: str) -> dict[str, Any]:
    """What a record holds; empty if it is somebody else's file."""
    try:
        facts = json_reader.parse(files.read(name))
    except (PictureError, json_reader.JSONError):
        return {}
    return facts if isinstance(facts, dict) and key in facts else {}


def _names(entries: Any) -> list[str]:
    """The names of files in a record, which lists them by name or with their metadata."""
    if not isinstance(entries, list):
        return []
    paths = [entry.get("path") if isinstance(entry, dict) else entry for entry in entries]
    return [posixpath.basename(path.replace("\\", "/")) for path in paths if isinstance(path, str)]
