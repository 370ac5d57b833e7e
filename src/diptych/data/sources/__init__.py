"""Where pictures come from: one module for each kind of source, chosen by what a path holds."""

import glob
import logging
import os
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diptych.data.decoding.kinds import PICTURE_SUFFIXES, has_picture_suffix
from diptych.data.messages import explain_os_error, join_names, printable
from diptych.data.sources.archives import (
    UNREAD_ARCHIVE,
    UNREAD_ARCHIVE_SUFFIXES,
    ZIP_SUFFIX,
    ArchivesInFolder,
    open_archive,
)
from diptych.data.sources.arrays import open_npz
from diptych.data.sources.arrow import find_saved_datasets, open_saved_datasets
from diptych.data.sources.base import Metadata, Source, unlabelled
from diptych.data.sources.builtin import BUILT_IN
from diptych.data.sources.files import Files, LocalFiles, RemoteFiles, expand_braces, is_url, match_names
from diptych.data.sources.folder import open_files, open_folder
from diptych.data.sources.labelling.label_choice import LabelChoice
from diptych.data.sources.labelling.tables import SPREADSHEET, SPREADSHEET_SUFFIXES, TABLE_SUFFIXES
from diptych.data.sources.metadata import FILE_NAMES, find_metadata, open_metadata
from diptych.data.sources.packed.pack_manifest import MANIFEST
from diptych.data.sources.packed.packed_source import open_packed
from diptych.data.sources.parquet import open_parquet
from diptych.data.sources.tar import SHARD_SUFFIXES, open_tar
from diptych.data.sources.urls import explained_store
from diptych.errors import DataError, UsageError
from diptych.files import did_you_mean, expanded, is_hidden
from diptych.opening import size_of

log = logging.getLogger("diptych")
_SETS = (".parquet", SHARD_SUFFIXES, ".npz", ZIP_SUFFIX)  # files that hold pictures, by kind

__all__ = ["Metadata", "Source", "open_files", "open_source"]


def open_source(path: str | Path, labels: str | None = None) -> Source:
    """Open a folder, a file, a pattern, an fsspec URL or a built-in set; see :meth:`diptych.Images.open`.

    Parameters
    ----------
    labels
        Where the labels come from; see :class:`~diptych.data.sources.labelling.label_choice.LabelChoice`.

    Raises
    ------
    DataError
        If there is nothing of that name, or nothing in it that can be used, or its labels can be read in several ways.
    UsageError
        If it has no labels of the kind that ``labels`` asks for.
    """
    choice = LabelChoice.of(labels)
    source = _open(str(path), choice)
    if choice.unlabelled:
        source.metadata = replace(source.metadata, labels=unlabelled(len(source)), classes=())
    return source


def _open(text: str, choice: LabelChoice) -> Source:
    if is_url(text) and not os.path.lexists(text):  # a file may have such a name
        with explained_store(text):
            return _open_url(text, choice)
    local = expanded(text)
    try:
        if not local.is_dir():
            size_of(local)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"{printable(text)} cannot be opened: {explain_os_error(error)}.") from None
    if local.is_dir():
        return _open_folder(LocalFiles(local), choice)
    if local.suffix.lower() == ZIP_SUFFIX and local.is_file():
        return _open_zip(local, choice)
    if local.is_file():
        return _open_named(LocalFiles(local.parent), [local.name], choice)
    if text in BUILT_IN:
        _refuse_choice(choice, text)
        return BUILT_IN[text]()
    names = _expand(str(local))
    if not names:
        raise DataError(_not_there(text))
    return _open_named(LocalFiles(""), names, choice)


def _open_url(url: str, choice: LabelChoice) -> Source:
    head, _, rest = url.partition("://") if "://" in url else (url, "", "")
    files = RemoteFiles(url)
    if not posixpath.splitext(rest)[1] and files.exists(MANIFEST):
        return _open_packed(files, choice)
    if files.is_folder():
        return _open_folder(files, choice)
    inner, _, chain = rest.partition("::")
    folder, name = posixpath.split(inner)
    parent = f"{head}://{folder}" + (f"::{chain}" if chain else "")
    parent_files = RemoteFiles(parent)
    names = [option for option in expand_braces(name) if parent_files.exists(option)]
    if not names:
        names = match_names(parent_files, name) if any(sign in name for sign in "*?[") else []
    if not names:
        raise DataError(_not_there(url))
    return _open_named(parent_files, names, choice)


def _open_folder(files: Files, choice: LabelChoice) -> Source:
    """Open a folder by what it holds: packed shards, a metadata file, Parquet or Arrow files, archives, or pictures."""
    if files.exists(MANIFEST):
        return _open_packed(files, choice)
    tables = find_metadata(files) if choice.word in ("auto", "none", "column") and not choice.table else []
    if tables:
        return open_metadata(files, tables, choice)
    walk = files.walk()
    if "shard-00000.index" in walk.files:
        raise DataError(f"{files.path(MANIFEST)} is missing, without which the shards beside it have no names.")
    if any(posixpath.splitext(name)[1].lower() in PICTURE_SUFFIXES for name in walk.files):
        return open_folder(files, walk, choice)
    datasets = find_saved_datasets(walk)
    if datasets:
        return open_saved_datasets(files, datasets, choice)
    names = _of_one_kind(files, walk.files)
    if names and not names[0].lower().endswith(ZIP_SUFFIX):
        return _open_named(files, names, choice)
    if len(names) == len(walk.files) == 1 and isinstance(files, LocalFiles):
        return _open_zip(Path(files.root, names[0]), choice)
    if names and not isinstance(files, ArchivesInFolder):
        return _open_folder(ArchivesInFolder(files, names), choice)
    return open_folder(files, walk, choice)


def _of_one_kind(files: Files, names: Sequence[str]) -> list[str]:
    """The files of a folder that are sets of pictures, of the first kind that there is; the others are named."""
    by_kind = [name for suffixes in _SETS for name in names if name.lower().endswith(suffixes)]
    kind = next((suffixes for suffixes in _SETS if by_kind and by_kind[0].lower().endswith(suffixes)), "")
    number = 1 if kind == ".npz" else sum(name.lower().endswith(kind) for name in by_kind)
    used, others = by_kind[:number], by_kind[number:]
    if others:
        read = f"{join_names(list(map(printable, used)))} {'is' if len(used) == 1 else 'are'} read"
        left = join_names(list(map(printable, others)))
        log.warning("%s: only %s, and not %s. Open each by its own path.", files.path(""), read, left)
    return used


def _open_packed(files: Files, choice: LabelChoice) -> Source:
    _refuse_choice(choice, files.path(""))
    others = [name for name in files.walk().files if has_picture_suffix(name)] if isinstance(files, LocalFiles) else []
    if others:
        log.warning("%s is a packed set; not used: %s.", files.path(""), join_names(list(map(printable, others))))
    return open_packed(files)


def _open_zip(path: Path, choice: LabelChoice) -> Source:
    """Open an archive, inside the single top folder that many archives have."""
    try:
        size_of(path)
    except OSError as error:
        raise DataError(f"{printable(str(path))} cannot be opened: {explain_os_error(error)}.") from None
    inside = ""
    files = archive = open_archive(str(path.parent), path.name)
    while len(tops := [name for name in files.folders() if not is_hidden(name)]) == 1:
        inside = posixpath.join(inside, tops[0])
        inner = archive.folder(inside, f"zip://{inside}::{path}")
        if not inner.folders() and not find_metadata(inner):
            break
        files = inner
    return _open_folder(files, choice)


def _open_named(files: Files, names: Sequence[str], choice: LabelChoice) -> Source:
    """Open files of one kind, which their suffix says."""
    parquet = [name for name in names if name.lower().endswith(".parquet")]
    if parquet:
        return open_parquet(files, parquet, choice)
    table = posixpath.basename(names[0])
    if table in FILE_NAMES and isinstance(files, LocalFiles):
        return open_metadata(LocalFiles(Path(files.root, names[0]).parent), [table], choice)
    _refuse_other_kinds(files, names[0])
    _refuse_choice(choice, files.path(names[0]))
    shards = [name for name in names if name.lower().endswith(SHARD_SUFFIXES)]
    if shards:
        return open_tar(files, shards)
    return open_npz(files, names[0]) if names[0].lower().endswith(".npz") else open_files(files, names)


def _refuse_other_kinds(files: Files, name: str) -> None:
    """Raise DataError for a table or an archive of a kind that is not read, with what to do."""
    where, lower = files.path(name), name.lower()
    if lower.endswith(TABLE_SUFFIXES):
        raise DataError(f"{where} is a table. Give the folder of its pictures, and choose the table by --labels.")
    if lower.endswith(SPREADSHEET_SUFFIXES):
        raise DataError(f"{where} is {SPREADSHEET}.")
    if lower.endswith(UNREAD_ARCHIVE_SUFFIXES):
        raise DataError(f"{where} is {UNREAD_ARCHIVE}.")


def _refuse_choice(choice: LabelChoice, where: str) -> None:
    if choice.word not in ("auto", "none"):
        raise UsageError(f"{where} has one kind of labels at most; --labels takes only auto or none here.")


def _expand(pattern: str) -> list[str]:
    """List the local files that a pattern with braces or wildcards stands for, each part in order."""
    names: list[str] = []
    for option in expand_braces(pattern):
        names += sorted(glob.glob(option, recursive=True)) if glob.has_magic(option) else [option]  # noqa: PTH207
    return [name for name in names if Path(name).is_file()]


def _not_there(path: str) -> str:
    names = ", ".join(f'"{name}"' for name in BUILT_IN)
    if Path(path).is_symlink():
        return f"{printable(path)} is a link to what is not there. Restore that, or name another."
    close = "" if is_url(path) else printable(did_you_mean(path))
    return (
        f"{printable(path)} is not there.{close} Give a folder of pictures, a Parquet, .npz or .tar file, "
        f"or a set by name: {names}."
    )
