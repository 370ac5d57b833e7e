"""Atomic file writes (synced under a temporary name, then renamed), whose a folder is, JSON, and paths for people."""

import difflib
import itertools
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from diptych.errors import UsageError

CLIENT_PARTS = 2  # of a path that a client sees: the class folder and the file
MAX_COMPARED = 10_000  # names of a folder that a missing one is compared with
# What macOS, Windows, Linux, network drives and Python leave behind.
_SYSTEM_NAMES = {
    *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "system volume information"),
    *("$recycle.bin", "recycler", "lost+found", "@eadir", "#recycle", "#snapshot", "__pycache__"),
}
#: Of what stands in a folder of iCloud for a picture that was not downloaded: ".IMG_1.heic.icloud".
ICLOUD_SUFFIX = ".icloud"


def cache_folder() -> Path:
    """The folder of files that can be made again: ``$XDG_CACHE_HOME/diptych``, or ``~/.cache/diptych``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diptych"


def write_bytes(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Write ``data`` so that ``path`` holds, at every moment and after a power cut, the old bytes or the new.

    Missing folders are created. Without ``synced`` the disk is not waited for: a kill still does no harm, but a power
    cut may.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(6)}.draft")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            if synced:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            # The message names the target, not the draft; of a full disk it would name no file at all.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    if synced:
        _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 (see :func:`encoded`), atomically."""
    write_bytes(path, encoded(text))


def encoded(text: str) -> bytes:
    r"""Text as UTF-8.

    Lone surrogates (from a file name that is not UTF-8) become their escape, ``\udcff``: a JSON string reads back as
    the same name, and on a page the escape is visible and harmless.
    """
    return text.encode("utf-8", errors="backslashreplace")


def move(source: Path, target: Path) -> None:
    """Move a file within a disk, so that ``target`` is at every moment, and after a power cut, the old file or this."""
    source.replace(target)
    _sync_folder(target.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder, which is gone at once; what a kill leaves of it is hidden, and deleted by the next call."""
    trash = folder.with_name(f".{folder.name}.deleted")
    shutil.rmtree(trash, ignore_errors=True)
    folder.rename(trash)
    shutil.rmtree(trash)


def is_occupied(path: Path) -> bool:
    """Whether ``path`` is a file, or a folder with a file in it at any depth.

    Hidden files do not count, so nor do the drafts and folders that an interrupted write leaves behind.
    """
    if path.is_dir():
        return any(is_occupied(entry) for entry in path.iterdir() if not is_hidden(entry.name))
    return path.exists()


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of a person's: .DS_Store, ._cat.jpg, __MACOSX, Thumbs.db."""
    return (name.startswith(".") and not name.endswith(ICLOUD_SUFFIX)) or name.lower() in _SYSTEM_NAMES


def is_system_file(path: Path) -> bool:
    """Whether this is a file that only a system has put there, which it will put there again."""
    name = path.name.lower()
    return path.is_file() and (name in (*_SYSTEM_NAMES, ".ds_store", ".localized") or name.startswith("._"))


def check_output_folder(folder: Path) -> None:
    """Check that files can be written into ``folder``, which need not be there; nothing is left behind.

    Raises
    ------
    UsageError
        It is a URL; it, or a folder above it, is a file; or nothing can be written there.
    """
    scheme = folder.parts[0] if folder.parts else ""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+:", scheme) and not Path(scheme).exists():  # of "s3://bucket/folder"
        raise UsageError(
            f"{scheme}//… is a place on a network, where nothing is written. Name a folder of this machine."
        )
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UsageError(f"{there} is not a folder, so nothing can be written into it. Name another folder.")
    draft = there / f".{secrets.token_hex(6)}.draft"
    try:
        draft.mkdir()
        draft.rmdir()
    except OSError as error:
        raise UsageError(
            f"Nothing can be written into {folder} ({(error.strerror or str(error)).lower()}). Name another folder."
        ) from None


def check_output_file(path: Path) -> None:
    """The same for a file, which may be replaced by a new one.

    Raises
    ------
    UsageError
        It is a folder, or its folder cannot be written into.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name a file in it.")
    check_output_folder(path.parent)


def refuse_other_files(folder: Path, is_ours: Callable[[Path], bool]) -> None:
    """Check that every file in ``folder`` is one that the caller wrote and may write again; hidden ones do not count.

    Raises
    ------
    UsageError
        Names the first other file.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not path.is_dir() and not is_ours(path):
            raise UsageError(f"{path} was not written by this command. Move it elsewhere, or name another folder.")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; not every system can (Windows does not open folders)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def expanded(path: str | Path) -> Path:
    """The path, in which a leading "~" is a person's home folder, unless something here has that very name."""
    try:
        return Path(path) if os.path.lexists(path) else Path(path).expanduser()
    except RuntimeError:  # there is nobody of that name
        return Path(path)


def did_you_mean(missing: str | Path) -> str:
    """The path that a missing one is most like, as a question to end a message with; "" if there is none.

    Each of its names that is not there is compared with those beside it: " Did you mean 'photos/cats/'?"
    """
    path = expanded(missing)
    there = Path(path.anchor)
    for name in path.parts[bool(path.anchor) :]:
        if not (there / name).exists():
            name = _most_similar(name, there)
            if not name:
                return ""
        there /= name
    return f" Did you mean '{there}{'/' if there.is_dir() else ''}'?"


def _most_similar(name: str, folder: Path) -> str:
    """The name in a folder that is most like one that is not there, whatever their case; "" if none is like it."""
    try:
        with os.scandir(folder) as entries:
            names = {entry.name.lower(): entry.name for entry in itertools.islice(entries, MAX_COMPARED)}
    except OSError:
        return ""
    return next((names[close] for close in difflib.get_close_matches(name.lower(), names, n=1)), "")


def path_from_here(path: str) -> str:
    """The path as it can be opened from the working folder: relative if it lies in it."""
    here = Path.cwd()
    return str(PurePath(path).relative_to(here)) if PurePath(path).is_relative_to(here) else path


def path_for_clients(path: str) -> str:
    """The end of a path, which tells nothing of the machine; names that are no paths from the root stay."""
    pure = PurePath(path.removeprefix("file://"))
    return "/".join(pure.parts[1:][-CLIENT_PARTS:]) if pure.is_absolute() else path


def json_text(value: Mapping[str, Any]) -> str:
    """The value as the text of a JSON file; NaN and infinity, which JSON does not have, are null."""
    return json.dumps(_strict(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def json_line(value: Mapping[str, Any]) -> str:
    """The same as a line of a JSON-lines file."""
    return json.dumps(_strict(value), allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
