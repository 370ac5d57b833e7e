"""Where pictures come from: one module for each kind of source, chosen by what a path holds."""

import glob
import posixpath
from collections.abc import Sequence
from pathlib import Path

from diptych.data.decode import PICTURE_SUFFIXES
from diptych.data.messages import explain_os_error, printable
from diptych.data.sources.arrays import open_npz
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.builtin import BUILT_IN
from diptych.data.sources.files import Files, LocalFiles, RemoteFiles, expand_braces, is_url, match_names
from diptych.data.sources.folder import open_files, open_folder
from diptych.data.sources.metadata import find_metadata, open_metadata
from diptych.data.sources.parquet import open_parquet
from diptych.data.sources.tar import SHARD_SUFFIXES, open_tar
from diptych.errors import DataError

__all__ = ["Metadata", "Source", "open_files", "open_source"]


def open_source(path: str | Path) -> Source:
    """Open a folder, a file, a pattern, an fsspec URL or a built-in set; see :meth:`diptych.Images.open`.

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
        raise DataError(f"{printable(text)} cannot be opened: {explain_os_error(error)}.") from None
    if local.is_dir():
        return _open_folder(LocalFiles(local))
    if local.suffix.lower() == ".zip" and local.is_file():
        return _open_zip(local)
    if local.is_file():
        return _open_named(LocalFiles(local.parent), [local.name])
    if text in BUILT_IN:
        return BUILT_IN[text]()
    names = _expand(str(local))
    if not names:
        raise DataError(_not_there(text))
    return _open_named(LocalFiles(""), names)


def _open_url(url: str) -> Source:
    head, _, rest = url.partition("://") if "://" in url else (url, "", "")
    files = RemoteFiles(url)
    if files.is_folder():
        return _open_folder(files)
    inner, _, chain = rest.partition("::")
    folder, name = posixpath.split(inner)
    parent = f"{head}://{folder}" + (f"::{chain}" if chain else "")
    parent_files = RemoteFiles(parent)
    names = [option for option in expand_braces(name) if parent_files.exists(option)]
    if not names:
        names = match_names(parent_files, name) if any(sign in name for sign in "*?[") else []
    if not names:
        raise DataError(_not_there(url))
    return _open_named(parent_files, names)


def _open_folder(files: Files) -> Source:
    """Open a folder by what it holds: a metadata file, Parquet files, shards, else pictures."""
    tables = find_metadata(files)
    if tables:
        return open_metadata(files, tables)
    walk = files.walk()
    names = [name for name in walk.files if name.lower().endswith((".parquet", *SHARD_SUFFIXES, ".npz"))]
    pictures = any(posixpath.splitext(name)[1].lower() in PICTURE_SUFFIXES for name in walk.files)
    return _open_named(files, names) if names and not pictures else open_folder(files, walk)


def _open_zip(path: Path) -> Source:
    """Open an archive, inside the single top folder that many archives have."""
    inside = ""
    files = RemoteFiles(f"zip://::{path}")
    while len(tops := [name for name in files.folders() if name != "__MACOSX"]) == 1:
        inside = posixpath.join(inside, tops[0])
        inner = RemoteFiles(f"zip://{inside}::{path}")
        if not inner.folders() and not find_metadata(inner):
            break
        files = inner
    return _open_folder(files)


def _open_named(files: Files, names: Sequence[str]) -> Source:
    """Open files of one kind, which their suffix says."""
    for suffixes, opener in (((".parquet",), open_parquet), (SHARD_SUFFIXES, open_tar)):
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
    names: list[str] = []
    for option in expand_braces(pattern):
        names += sorted(glob.glob(option, recursive=True)) if glob.has_magic(option) else [option]  # noqa: PTH207
    return [name for name in names if Path(name).is_file()]


def _not_there(path: str) -> str:
    names = ", ".join(f'"{name}"' for name in BUILT_IN)
    return (
        f"{printable(path)} is not there. Give a folder of pictures, a Parquet, .npz or .tar file, "
        f"or a set by name: {names}."
    )
