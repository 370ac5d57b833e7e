"""Files below one folder, on this machine or behind an fsspec URL, under one small interface."""

import errno
import fnmatch
import os
import posixpath
import re
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diptych import opening
from diptych.data.decoding.limits import MAX_FILE_BYTES
from diptych.data.messages import explain_os_error, printable
from diptych.data.sources.archive_names import normalise_names
from diptych.data.sources.urls import check_url, install_command
from diptych.errors import DataError, PictureError
from diptych.files import is_hidden

MAX_NAMES = 100_000  # that a pattern with braces may stand for
# What a damaged zip raises; UnicodeDecodeError where a name that is said to be UTF-8 is not, RuntimeError where a
# member is encrypted or compressed in a way Python does not know.
ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeDecodeError)


@dataclass
class Walk:
    """The result of a walk: names relative to the folder, with "/", sorted; ``hidden`` counts the hidden entries."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    hidden: int = 0
    skipped: list[PictureError] = field(default_factory=list)


class Files(ABC):
    """A folder of files."""

    root: str
    #: Whether :meth:`open` gives a file in which any place is reached at once; in a zip, what is before it is unpacked.
    seeks_freely = False

    def path(self, name: str) -> str:
        """The path of a file for messages: the folder as the person wrote it, and the name, safe to print."""
        return printable(posixpath.join(self.root, name) if name else self.root)

    def read(self, name: str) -> bytes:
        """Read one whole file. Raises PictureError."""
        try:
            size = self.size(name)
            if size > MAX_FILE_BYTES:
                limit = MAX_FILE_BYTES // 1_000_000
                raise PictureError(f"the file holds {size // 1_000_000} MB; the limit is {limit} MB", self.path(name))
            return self.read_range(name, 0, size)
        except OSError as error:
            raise PictureError(explain_os_error(error), self.path(name)) from None
        except ARCHIVE_ERRORS as error:
            raise PictureError(_why_packed(error), self.path(name)) from None

    @abstractmethod
    def walk(self) -> Walk:
        """All files below, at any depth."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file."""

    @abstractmethod
    def read_range(self, name: str, start: int, count: int) -> bytes:
        """``count`` bytes of a file from ``start`` on, without a limit."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Names of the folders directly in this one, sorted."""

    @abstractmethod
    def open(self, name: str) -> Any:
        """A seekable binary file."""


class LocalFiles(Files):
    """A folder on this machine."""

    seeks_freely = True

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._base = os.fspath(root)

    def _full(self, name: str) -> str:
        return os.path.join(self._base, name) if name else self._base  # noqa: PTH118 - called 50,000 times

    def size(self, name: str) -> int:
        """See :class:`Files`."""
        return opening.size_of(self._full(name))

    def read_range(self, name: str, start: int, count: int) -> bytes:
        """See :class:`Files`."""
        return opening.read_range(self._full(name), start, count)

    def exists(self, name: str) -> bool:
        """See :class:`Files`; a name that no file can have, such as one of 300 characters, is that of none."""
        path = Path(self._full(name))
        try:
            # A pipe of this name is refused when it is read, not passed over.
            return path.exists() and not path.is_dir()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False
            raise

    def folders(self) -> list[str]:
        """See :class:`Files`."""
        return sorted(entry.name for entry in Path(self._base).iterdir() if entry.is_dir())

    def open(self, name: str) -> Any:
        """See :class:`Files`."""
        try:
            return opening.open_file(self._full(name))
        except opening.NotAFileError as error:
            raise PictureError(explain_os_error(error), self.path(name)) from None

    def walk(self) -> Walk:
        """See :class:`Files`."""
        walk = Walk()
        self._walk("", walk, followed=set())
        walk.files.sort()
        walk.folders.sort()
        return walk

    def _walk(self, folder: str, walk: Walk, followed: set[tuple[int, int]]) -> None:
        try:
            entries = sorted(os.scandir(self._full(folder)), key=lambda entry: entry.name)
        except OSError as error:
            walk.skipped.append(PictureError(explain_os_error(error), self.path(folder)))
            return
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                walk.hidden += 1
            elif _is_folder(entry):
                if not entry.is_symlink() or self._follows_link(name, walk, followed):
                    walk.folders.append(name)
                    self._walk(name, walk, followed)
            elif entry.is_symlink() or entry.is_file():  # a broken link is reported when it is read
                walk.files.append(name)
            else:
                walk.skipped.append(PictureError("a device or a pipe, not a file", self.path(name)))

    def _follows_link(self, name: str, walk: Walk, followed: set[tuple[int, int]]) -> bool:
        """Whether to follow a link to a folder: not to one that is walked anyway, and to none twice."""
        target = Path(os.path.realpath(self._full(name)))
        base = Path(os.path.realpath(self._base))
        status = target.stat()
        identity = (status.st_dev, status.st_ino)
        if target.is_relative_to(base) or base.is_relative_to(target) or identity in followed:
            walk.skipped.append(PictureError("a link to a folder that is read already", self.path(name)))
            return False
        followed.add(identity)
        return True


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


class RemoteFiles(Files):
    """A folder behind an fsspec URL, such as ``s3://…``, ``memory://…`` or ``zip://…``."""

    def __init__(self, url: str, filesystem: Any = None, base: str = "") -> None:
        self.root = url
        if filesystem is None:
            filesystem, base = filesystem_of(url)
        self._fs, self._base = filesystem, base.rstrip("/")

    def _full(self, name: str) -> str:
        return f"{self._base}/{name}" if name and self._base else name or self._base

    def size(self, name: str) -> int:
        """See :class:`Files`."""
        return int(self._fs.size(self._full(name)))

    def read_range(self, name: str, start: int, count: int) -> bytes:
        """See :class:`Files`."""
        try:
            return bytes(self._fs.cat_file(self._full(name), start=start, end=start + count))
        except ARCHIVE_ERRORS as error:
            raise PictureError(_why_packed(error), self.path(name)) from None

    def exists(self, name: str) -> bool:
        """See :class:`Files`."""
        return bool(self._fs.isfile(self._full(name)))

    def folders(self) -> list[str]:
        """See :class:`Files`."""
        with self._listing():
            entries = self._fs.ls(self._base, detail=True)
        return sorted(posixpath.basename(e["name"].rstrip("/")) for e in entries if e["type"] == "directory")

    def open(self, name: str) -> Any:
        """See :class:`Files`."""
        return self._fs.open(self._full(name), "rb")

    def folder(self, name: str, root: str) -> "RemoteFiles":
        """A folder in this one, named ``root`` in messages."""
        return RemoteFiles(root, self._fs, self._full(name))

    @contextmanager
    def _listing(self) -> Iterator[None]:
        """Refuse an archive with names that no file has, such as one of "/" alone, at which fsspec fails."""
        try:
            yield
        except (IndexError, KeyError, ValueError) as error:
            raise DataError(f"{self.root} cannot be listed ({error}). Pack the folder again.") from None

    def is_folder(self) -> bool:
        """Whether the URL itself names a folder."""
        return self._base in ("", "/") or bool(self._fs.isdir(self._base))

    def walk(self) -> Walk:
        """See :class:`Files`."""
        walk = Walk()
        with self._listing():
            entries = self._fs.find(self._base, withdirs=True, detail=True)
        for path, entry in sorted(entries.items()):
            name = path[len(self._base) :].strip("/")
            if not name:
                continue
            if any(map(is_hidden, name.split("/"))):
                walk.hidden += 1
            elif entry["type"] == "directory":
                walk.folders.append(name)
            else:
                walk.files.append(name)
        return walk


def filesystem_of(url: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL and the path in it."""
    from fsspec.core import url_to_fs

    check_url(url)
    try:
        filesystem, path = url_to_fs(url)
    except (ValueError, ImportError) as error:
        cure = install_command(url) if isinstance(error, ImportError) else ""
        raise DataError(f"{url} cannot be opened: {error}.{cure}") from None
    except OSError as error:
        raise DataError(f"{url} cannot be opened: {explain_os_error(error)}.") from None
    except ARCHIVE_ERRORS as error:
        raise DataError(f"{url} is damaged: {error}.") from None
    if filesystem.protocol == "zip":
        normalise_names(filesystem.zip, url)
    return filesystem, str(path)


def _why_packed(error: Exception) -> str:
    """Why a member of an archive cannot be read: zipfile raises RuntimeError for what it cannot do."""
    if isinstance(error, RuntimeError):
        return f"it is packed in a way that is not read here ({error}); unpack the archive, and open the folder"
    return f"the archive is damaged here: {error}"


def stays_inside(name: str) -> bool:
    """Whether a name in a table stays in the table's folder."""
    name = posixpath.normpath(name.replace("\\", "/"))
    return not (name == ".." or name.startswith(("/", "../")) or re.match(r"[a-zA-Z]:", name))


def is_url(path: str) -> bool:
    """Whether this is an fsspec URL ("s3://bucket/pets", "zip://pets::a.zip") and not a path."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+(://|::)", path) is not None


def expand_braces(pattern: str) -> Iterator[str]:
    """Expand "a-{000..002}.tar" and "{train,test}.parquet" as a shell does.

    Raises
    ------
    DataError
        It stands for more files than a set can have.
    """
    for count, name in enumerate(_expanded(pattern), 1):
        if count > MAX_NAMES:
            raise DataError(f"{printable(pattern)} stands for more than {MAX_NAMES:,} files. Name fewer, or a folder.")
        yield name


def _expanded(pattern: str) -> Iterator[str]:
    match = re.search(r"\{([^{}]*,[^{}]*|\d{1,18}\.\.\d{1,18})\}", pattern)
    if match is None:
        yield pattern
        return
    before, inside, after = pattern[: match.start()], match.group(1), pattern[match.end() :]
    if ".." in inside and "," not in inside:
        first, last = inside.split("..")
        width = len(first) if first.startswith("0") else 0
        options: Iterable[str] = (str(i).zfill(width) for i in range(int(first), int(last) + 1))
    else:
        options = inside.split(",")
    for option in options:
        yield from _expanded(f"{before}{option}{after}")


def match_names(files: Files, pattern: str) -> list[str]:
    """Names in a folder that match a pattern with ``*``, ``?`` or ``[…]``."""
    return [name for name in files.walk().files if fnmatch.fnmatchcase(name, pattern)]
