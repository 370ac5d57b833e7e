"""A folder with metadata.csv or metadata.jsonl: one row for each picture, with its label or labels, and groups."""

import logging
import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from diptych.data.decoding.kinds import has_picture_suffix
from diptych.data.labels import composed, labels_from_names
from diptych.data.messages import counted, join_names, printable
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import Files, LocalFiles, stays_inside
from diptych.data.sources.folder import FileSource
from diptych.data.sources.labelling.columns import group_columns, label_columns, pop_origins
from diptych.data.sources.labelling.label_choice import AUTO, LabelChoice, log_reading
from diptych.data.sources.labelling.layout import SPLIT_NAMES
from diptych.data.sources.labelling.tables import Row, read_table
from diptych.data.sources.own_outputs import own_outputs
from diptych.data.sources.recorded_origins import recorded_origins
from diptych.errors import DataError, PictureError

log = logging.getLogger("diptych")
FILE_NAMES = ("metadata.csv", "metadata.jsonl")


def find_metadata(files: Files) -> list[str]:
    """Name the metadata file of a folder, or those of its train, validation and test folders; [] if none."""
    own = [name for name in FILE_NAMES if files.exists(name)]
    if own:
        return own[:1]
    return [
        f"{part}/{name}"
        for part in files.folders()
        if part.lower() in SPLIT_NAMES
        for name in FILE_NAMES
        if files.exists(f"{part}/{name}")
    ]


def open_metadata(files: Files, tables: Sequence[str], choice: LabelChoice = AUTO) -> Source:
    """Open a folder by its metadata files; the rows keep their order."""
    on_disk = _NamesOnDisk(files)
    present: list[Row] = []
    missing: list[PictureError] = []
    for table in tables:
        part = posixpath.dirname(table)
        split = {"split": SPLIT_NAMES[part.lower()]} if part.lower() in SPLIT_NAMES else {}
        for row in _read(files, table):
            name = relative_name(str(row.cells["file_name"]), posixpath.join(files.root, part))
            within = stays_inside(name)
            name = posixpath.join(part, name)
            on_disk_name = on_disk.find(name) if within else None
            if on_disk_name is not None:
                present.append(Row(row.file, row.line, {**split, **row.cells, "file_name": on_disk_name}))
            else:
                why = "not there" if within else "outside the folder"
                missing.append(PictureError(f"named in {files.path(table)}, but {why}", files.path(name)))
    where = join_names([files.path(table) for table in tables])
    if missing:
        reasons = join_names([str(error) for error in missing])
        log.warning("%s: %d of the files that it names were left out: %s.", where, len(missing), reasons)
    if not present:
        raise DataError(f"None of the files named in {where} is there.")
    _warn_of_unnamed(files, {row.cells["file_name"] for row in present}, where)
    return _source(files, present, tuple(missing), where, choice)


def _warn_of_unnamed(files: Files, named: set[str], where: str) -> None:
    """Name the pictures that lie there and in no row; not behind a URL, where listing all files takes long."""
    if not isinstance(files, LocalFiles):
        return
    walk = files.walk()
    there = {posixpath.normpath(name) for name in named} | set(own_outputs(files, walk))
    others = [name for name in walk.files if has_picture_suffix(name) and name not in there]
    if others:
        count = counted(len(others), "picture is", "pictures are")
        names = join_names(list(map(printable, others)))
        log.warning("%s not used, since %s does not name them: %s.", count, where, names)


class _NamesOnDisk:
    """The files of a folder by their names, also where a table writes é in the other Unicode form."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._composed: dict[str, str] | None = None

    def find(self, name: str) -> str | None:
        """The name on the disk; ``None`` where there is no such file."""
        if self._files.exists(name):
            return name
        if name.isascii():
            return None
        if self._composed is None:
            self._composed = {composed(file): file for file in self._files.walk().files}
        return self._composed.get(composed(name))


def relative_name(name: str, root: str) -> str:
    """A name in a table relative to the table's folder, also where the table has the whole path."""
    name = posixpath.normpath(name.replace("\\", "/"))
    for base in dict.fromkeys((os.path.abspath(root), os.path.realpath(root))):  # noqa: PTH100 - as it is written
        if name.startswith(f"{Path(base).as_posix().rstrip('/')}/"):
            return posixpath.relpath(name, Path(base).as_posix())
    return name


def _read(files: Files, table: str) -> list[Row]:
    where = files.path(table)
    rows = read_table(files.read(table), where)
    lacking = [row.where for row in rows if not row.cells.get("file_name")]
    if lacking or not rows:
        first = lacking[0] if lacking and "file_name" in rows[0].cells else where
        columns = (
            ""
            if not rows or "file_name" in rows[0].cells
            else (f" Its columns are {', '.join(filter(None, rows[0].cells))}: rename the one that names the pictures.")
        )
        raise DataError(f'{first} needs a "file_name" for every picture.{columns}')
    return rows


def _source(
    files: Files, rows: Sequence[Row], missing: tuple[PictureError, ...], where: str, choice: LabelChoice
) -> Source:
    records = [row.cells for row in rows]
    read = None if choice.unlabelled else label_columns(rows, where, choice.column or None)
    labels, classes = (read.labels, read.classes) if read else labels_from_names([None] * len(rows))
    groups = group_columns(records, exclude={"file_name", "label", "labels", *(read.columns if read else ())})
    names = [str(record["file_name"]) for record in records]
    origins = recorded_origins(files, names, pop_origins(groups))
    log_reading(where, groups.get("split"), labels, classes, read.description if read else "")
    paths = [files.path(name) for name in names]
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins, skipped=missing)
    return FileSource(files, names, metadata)
