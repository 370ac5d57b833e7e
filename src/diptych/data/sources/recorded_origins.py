"""Origins that the records beside pictures tell: of the folders that Diptych wrote, or saved a set in.

A generated picture stays one where its folder is opened another way: a single file of it, a class folder inside it, a
folder around it, or without the table that lists it.
"""

import os
import posixpath
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych import json_reader
from diptych.data.labels import composed
from diptych.data.sources.base import ORIGINS
from diptych.data.sources.files import Files, LocalFiles
from diptych.data.sources.labelling.tables import read_table
from diptych.data.sources.own_outputs import BALANCE_RECORD, EDIT_RECORD, SAMPLE_RECORD
from diptych.errors import DataError, PictureError

REAL, SYNTHETIC, COMPOSITE = ORIGINS
TABLES = ("metadata.csv", "metadata.jsonl")
LEVELS = 2  # folders above a picture's own that may hold its record: those of its class and of its part
HEADER_BYTES = 4096  # in which a table names its columns
_SAMPLE = re.compile(r"(.*/)?\d{6,}\.png|grid\.png")  # what diptych sample writes

Origin = Callable[[str], str]  # of a file, by its name relative to the folder of the record


def recorded_origins(
    files: Files, names: Sequence[str], origins: NDArray[Any] | None, known: Collection[str] | None = None
) -> NDArray[Any] | None:
    """The origins of files, also those that only a record tells; a picture that either calls generated is generated.

    Parameters
    ----------
    origins
        (N,) as a table has them; ``None``: it has none.
    known
        The names of all files, where they are known; ``None``: they are looked for one by one, which a folder on
        another machine answers slowly: there only its own records count.

    Returns
    -------
    (N,) each one of :data:`ORIGINS`; ``None``: every picture is real.
    """
    result = np.full(len(names), REAL, dtype="<U9") if origins is None else np.array(origins, dtype="<U9")
    reader = _Records(files, known)
    for row, name in enumerate(names):
        if result[row] == REAL:
            result[row] = reader.origin(name)
    return result if origins is not None or (result != REAL).any() else None


class _Records:
    """The records of the folders around pictures, each read once."""

    def __init__(self, files: Files, known: Collection[str] | None) -> None:
        self._files, self._known = files, known
        self._local = isinstance(files, LocalFiles)
        self._folders: dict[str, list[tuple[str, Origin]]] = {}
        self._read: dict[str, list[Origin]] = {}

    def origin(self, name: str) -> str:
        """Of one picture: the first that is not real."""
        folder, base = posixpath.split(name)
        if folder not in self._folders:
            self._folders[folder] = list(self._around(folder))
        origins = (of(inner + base) for inner, of in self._folders[folder])
        return next((origin for origin in origins if origin != REAL), REAL)

    def _around(self, folder: str) -> list[tuple[str, Origin]]:
        """The records of a folder and of those around it, with the path from each of these to the folder."""
        records, inner = [], ""
        for around in self._and_above(folder):
            if around not in self._read:
                self._read[around] = self._records(around)
            records += [(inner, of) for of in self._read[around]]
            inner = f"{posixpath.basename(around)}/{inner}"
        return records

    def _and_above(self, folder: str) -> list[str]:
        if self._local:
            try:
                path = Path(os.path.realpath(Path(self._files.root, folder)))
            except (OSError, ValueError):  # a name that no file can have: its picture cannot be read either
                return []
            return [around.as_posix() for around in [path, *path.parents][: LEVELS + 1]]
        if self._known is None:
            return [""] if folder == "" else []
        parts = folder.split("/") if folder else []
        return ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)][: LEVELS + 1]

    def _records(self, folder: str) -> list[Origin]:
        files = LocalFiles(folder) if self._local else self._files
        prefix = "" if self._local else folder
        records = [
            _of_sample(_json(files, posixpath.join(prefix, SAMPLE_RECORD), self._exists)),
            _of_edit(_json(files, posixpath.join(prefix, EDIT_RECORD), self._exists)),
            _of_balance(_json(files, posixpath.join(prefix, BALANCE_RECORD), self._exists)),
            *(_of_table(files, posixpath.join(prefix, table), self._exists) for table in TABLES),
        ]
        return [record for record in records if record is not None]

    def _exists(self, files: Files, name: str) -> bool:
        if not self._local and self._known is not None:
            return name in self._known
        try:
            return files.exists(name)
        except OSError:  # no permission to look
            return False


Exists = Callable[[Files, str], bool]


def _json(files: Files, name: str, exists: Exists) -> dict[str, Any]:
    """What a record holds; empty where there is none, or somebody else's file."""
    if not exists(files, name):
        return {}
    try:
        facts = json_reader.parse(files.read(name))
    except (PictureError, json_reader.JSONError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _of_sample(facts: dict[str, Any]) -> Origin | None:
    if "weights_sha256" not in facts:
        return None
    return lambda name: SYNTHETIC if _SAMPLE.fullmatch(name) else REAL


def _of_edit(facts: dict[str, Any]) -> Origin | None:
    entries = facts.get("files")
    if "edit" not in facts or not isinstance(entries, list):
        return None
    origins = {
        posixpath.basename(str(entry.get("path")).replace("\\", "/")): entry.get("origin")
        for entry in entries
        if isinstance(entry, dict)
    }
    others = facts.get("others")
    origins |= dict.fromkeys(map(str, others if isinstance(others, list) else ()), COMPOSITE)  # sheets and animations
    return _looked_up(origins)


def _of_balance(facts: dict[str, Any]) -> Origin | None:
    names = facts.get("generated")
    return _looked_up(dict.fromkeys(map(str, names), SYNTHETIC)) if isinstance(names, list) else None


def _of_table(files: Files, name: str, exists: Exists) -> Origin | None:
    """By a table with the columns file_name and origin, as saved sets have; ``None``: there is no such table."""
    try:
        if not exists(files, name) or b"origin" not in files.read_range(name, 0, min(HEADER_BYTES, files.size(name))):
            return None
        rows = [row.cells for row in read_table(files.read(name), name)]
    except (OSError, DataError):
        return None
    return _looked_up({str(row.get("file_name")): row.get("origin") for row in rows})


def _looked_up(origins: dict[str, Any]) -> Origin:
    origin_of = {composed(name): value for name, value in origins.items()}

    def origin(name: str) -> str:
        value = origin_of.get(composed(name))
        return value if value in ORIGINS else REAL

    return origin
