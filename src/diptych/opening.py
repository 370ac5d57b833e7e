"""The way to open what a person names, or what lies in a person's folder: only files, and never more than fits.

A path may lead to a pipe, which is waited at for ever, or to a device such as /dev/zero, which never ends. What it
is, is asked of the opened file itself, so that nothing can change in between, and opening it waits for nothing.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from diptych.errors import DataError

MAX_TEXT_BYTES = 16_000_000  # of a file that a person writes by hand or a program in one go, such as settings and keys
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


class NotAFileError(OSError, DataError):
    """A path that leads to a folder, a pipe, a socket or a device where a file is needed.

    It is an ``OSError`` as well, so that it is handled wherever files that cannot be read are.
    """

    def __str__(self) -> str:
        """For a sentence; the cure is the same wherever it happens."""
        return f"{self.filename} cannot be read: {self.strerror}. Put a file there, or name another."


class TooLargeError(OSError, DataError):
    """A file that holds more bytes than what is expected there can have."""

    def __str__(self) -> str:
        """For a sentence."""
        return f"{self.filename} cannot be read: {self.strerror}. Name another file."


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a file for reading, in binary.

    Raises
    ------
    NotAFileError
        The path, or the end of a link there, is no file.
    OSError
        It cannot be opened.
    """
    return os.fdopen(_descriptor(path), "rb")


def read_file(path: str | os.PathLike[str], limit: int | None = None) -> bytes:
    """Read a whole file, of at most ``limit`` bytes.

    Raises
    ------
    NotAFileError, TooLargeError
        The path leads to no file, or to one of more bytes.
    OSError
        It cannot be opened.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            reason = f"it holds {size / 1e6:,.1f} MB, and the limit is {limit / 1e6:,.1f} MB"
            raise TooLargeError(errno.EFBIG, reason, os.fspath(path))
        return file.read()


def read_text(path: str | os.PathLike[str], limit: int | None = None) -> str:
    """Read a whole file as UTF-8; raises as :func:`read_file` does, or ``UnicodeDecodeError``."""
    return read_file(path, limit).decode("utf-8")


def read_range(path: str | os.PathLike[str], start: int, count: int) -> bytes:
    """Read ``count`` bytes from ``start`` on, fewer at the end of the file; raises as :func:`open_file` does.

    Called for each of 50,000 pictures: a file object would take half as long again.
    """
    descriptor = _descriptor(path)
    try:
        if start:
            os.lseek(descriptor, start, os.SEEK_SET)
        content = os.read(descriptor, count)
        while len(content) < count and (more := os.read(descriptor, count - len(content))):
            content += more
        return content
    finally:
        os.close(descriptor)


class OpenFile:
    """A file that is read again and again, by threads at the same time; it is closed once nobody needs it any more.

    Parameters
    ----------
    path
        Of a file; raises as :func:`open_file` does.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._descriptor: int | None = None
        self._descriptor = _descriptor(path)

    def read(self, start: int, count: int) -> bytes:
        """Read ``count`` bytes from ``start`` on, fewer at the end of the file."""
        assert self._descriptor is not None
        content = os.pread(self._descriptor, count, start)
        while len(content) < count and (more := os.pread(self._descriptor, count - len(content), start + len(content))):
            content += more
        return content

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def size_of(path: str | os.PathLike[str]) -> int:
    """The bytes of a file.

    Raises
    ------
    NotAFileError
        The path leads to no file.
    OSError
        There is nothing, or no permission to look.
    """
    status = os.stat(path)  # noqa: PTH116 - called 50,000 times
    _require_file(status.st_mode, path)
    return status.st_size


def checked(path: Path) -> Path:
    """The path, of a file that another library opens.

    Raises
    ------
    NotAFileError
        It leads to no file.
    OSError
        There is nothing, or no permission to look.
    """
    size_of(path)
    return path


def _descriptor(path: str | os.PathLike[str]) -> int:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket; of pipes only their writing end gives this
            raise _not_a_file("a socket", path) from None
        raise
    try:
        _require_file(os.fstat(descriptor).st_mode, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_file(mode: int, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(mode):
        raise _not_a_file(next((kind for is_kind, kind in _KINDS if is_kind(mode)), "a device"), path)


def _not_a_file(kind: str, path: str | os.PathLike[str]) -> NotAFileError:
    return NotAFileError(errno.EINVAL, f"it is {kind}, not a file", os.fspath(path))
