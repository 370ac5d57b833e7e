"""Where pictures come from: one class a kind of source, and the choice among them by what a path holds."""

import glob
import posixpath
from collections.abc import Sequence
from pathlib import Path

from diptych.data.decode import SUFFIXES
from diptych.data.sources.arrays import open_npz
from diptych.data.sources.base import Rows, Source, printable, reason
from diptych.data.sources.builtin import BUILT_IN
from diptych.data.sources.files import Files, LocalFiles, RemoteFiles, braces, is_url, matching
from diptych.data.sources.folder import open_files, open_folder
from diptych.data.sources.metadata import metadata_of, open_metadata
from diptych.data.sources.parquet import open_parquet
from diptych.data.sources.tar import SHARDS, open_tar
from diptych.errors import DataError

__all__ = ["Rows", "Source", "open_files", "open_source"]


def open_source(path: str | Path) -> Source:
    """Open a folder, a file, a pattern, an fsspec URL or a built-in set; see design section "Sources".

    Raises
    ------
    DataError
        If there is nothing of that name, or nothing in it that can be used.
    """
    text = str(path)
    if is_url(text):
        return _open_url(text)
    local = Path(text).expanduser()
    try:
        local.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"{printable(text)} cannot be opened: {reason(error)}.") from None
    if local.is_dir():
        return _open_place(LocalFiles(local))
    if local.suffix.lower() == ".zip" and local.is_file():
        return _open_zip(local)
    if local.is_file():
        return _open_named(LocalFiles(local.parent), [local.name])
    if text in BUILT_IN:
        return BUILT_IN[text]()
    found = _expand(str(local))
    if not found:
        raise DataError(_not_there(text))
    return _open_named(LocalFiles(""), found)


def _open_url(url: str) -> Source:
    head, _, rest = url.partition("://") if "://" in url else (url, "", "")
    files = RemoteFiles(url)
    if files.is_folder():
        return _open_place(files)
    inner, _, chain = rest.partition("::")
    folder, name = posixpath.split(inner)
    parent = f"{head}://{folder}" + (f"::{chain}" if chain else "")
    place = RemoteFiles(parent)
    names = [option for option in braces(name) if place.exists(option)]
    if not names:
        names = matching(place, name) if any(sign in name for sign in "*?[") else []
    if not names:
        raise DataError(_not_there(url))
    return _open_named(place, names)


def _open_place(files: Files) -> Source:
    """Open a folder by what it holds: a metadata file, Parquet files, shards, else pictures."""
    tables = metadata_of(files)
    if tables:
        return open_metadata(files, tables)
    found = files.walk()
    names = [name for name in found.files if name.lower().endswith((".parquet", *SHARDS, ".npz"))]
    pictures = any(posixpath.splitext(name)[1].lower() in SUFFIXES for name in found.files)
    return _open_named(files, names) if names and not pictures else open_folder(files, found)


def _open_zip(path: Path) -> Source:
    """Open an archive, inside the one folder that archives like to put around all that they hold."""
    inside = ""
    files = RemoteFiles(f"zip://::{path}")
    while len(tops := [name for name in files.folders() if name != "__MACOSX"]) == 1:
        inside = posixpath.join(inside, tops[0])
        inner = RemoteFiles(f"zip://{inside}::{path}")
        if not inner.folders() and not metadata_of(inner):
            break
        files = inner
    return _open_place(files)


def _open_named(files: Files, names: Sequence[str]) -> Source:
    """Open files of one kind, told by their suffix."""
    for suffixes, opener in (((".parquet",), open_parquet), (SHARDS, open_tar)):
        chosen = [name for name in names if name.lower().endswith(suffixes)]
        if chosen:
            return opener(files, chosen)
    if names[0].lower().endswith(".npz"):
        return open_npz(files, names[0])
    table = posixpath.basename(names[0])
    if table in ("metadata.csv", "metadata.jsonl") and isinstance(files, LocalFiles):
        return open_metadata(LocalFiles(Path(files.root, names[0]).parent), [table])
    return open_files(files, names)


def _expand(pattern: str) -> list[str]:
    """List the local files that a pattern with braces or wildcards stands for, each part in order."""
    found: list[str] = []
    for option in braces(pattern):
        found += sorted(glob.glob(option, recursive=True)) if glob.has_magic(option) else [option]  # noqa: PTH207
    return [name for name in found if Path(name).is_file()]


def _not_there(path: str) -> str:
    names = ", ".join(f'"{name}"' for name in BUILT_IN)
    return (
        f"{printable(path)} is not there. Give a folder of pictures, a Parquet, .npz or .tar file, "
        f"or a set by name: {names}."
    )
