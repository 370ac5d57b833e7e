"""Zip archives, also those inside a folder or inside another zip, such as train.zip beside test.zip."""

import contextlib
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from typing import IO, Any

from diptych.data.sources.archive_names import normalise_names
from diptych.data.sources.files import ARCHIVE_ERRORS, Files, LocalFiles, RemoteFiles, Walk
from diptych.data.sources.labelling.tables import TABLE_SUFFIXES
from diptych.errors import DataError

ZIP_SUFFIX = ".zip"
#: Of archives that are not read; and what is to be done with one, for a sentence.
UNREAD_ARCHIVE_SUFFIXES = (
    *(".7z", ".rar", ".cbr", ".cbz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"),
    *(".tar.lz4", ".tar.z"),
)
ARCHIVE_BESIDE = "an archive beside pictures; open it by its own path"
UNREAD_ARCHIVE = "an archive of a kind that is not read; unpack it, and open the folder"
MAX_INNER_BYTES = (
    32_000_000_000  # of one zip in a zip, which is copied out so that its members can be read in any order
)
_MAX_SHARE_OF_DISK = 0.5  # of what is free for temporary files
_BLOCK_BYTES = 1 << 20


class ArchivesInFolder(Files):
    """Zip archives of one folder as folders with their names: train.zip is train/; and the tables beside them."""

    def __init__(self, files: Files, names: Sequence[str]) -> None:
        self.root = files.root
        self._outer = files
        with contextlib.ExitStack() as opened:
            self._archives = {
                posixpath.splitext(name)[0]: RemoteFiles(files.path(name), _zip_filesystem(files, name, opened))
                for name in names
            }
            weakref.finalize(self, opened.pop_all().close)

    def _inner(self, name: str) -> tuple[Files, str]:
        for folder, files in self._archives.items():
            if name.startswith(f"{folder}/"):
                return files, name[len(folder) + 1 :]
        return self._outer, name

    def walk(self) -> Walk:
        """See :class:`Files`."""
        outer = self._outer.walk()
        walk = Walk(files=[name for name in outer.files if name.lower().endswith(TABLE_SUFFIXES)], hidden=outer.hidden)
        for folder, files in sorted(self._archives.items()):
            inner = files.walk()
            walk.folders += [folder, *(f"{folder}/{name}" for name in inner.folders)]
            walk.files += [f"{folder}/{name}" for name in inner.files]
            walk.hidden += inner.hidden
        walk.files.sort()
        return walk

    def size(self, name: str) -> int:
        """See :class:`Files`."""
        files, inner = self._inner(name)
        return files.size(inner)

    def read_range(self, name: str, start: int, count: int) -> bytes:
        """See :class:`Files`."""
        files, inner = self._inner(name)
        return files.read_range(inner, start, count)

    def exists(self, name: str) -> bool:
        """See :class:`Files`."""
        files, inner = self._inner(name)
        return files.exists(inner)

    def folders(self) -> list[str]:
        """See :class:`Files`."""
        return sorted({name.split("/")[0] for name in self._archives})

    def open(self, name: str) -> Any:
        """See :class:`Files`."""
        files, inner = self._inner(name)
        return files.open(inner)


def open_archive(folder: str, name: str) -> RemoteFiles:
    """Open a zip of a folder on this machine; its files have URLs for names, such as zip://::pets.zip."""
    local = LocalFiles(folder)
    with contextlib.ExitStack() as opened:
        filesystem = _zip_filesystem(local, name, opened)
        weakref.finalize(filesystem, opened.pop_all().close)
    return RemoteFiles(f"zip://::{local.path(name)}", filesystem)


def _zip_filesystem(files: Files, name: str, opened: contextlib.ExitStack) -> Any:
    from fsspec.implementations.zip import ZipFileSystem

    where = files.path(name)
    try:
        archive = opened.enter_context(files.open(name) if files.seeks_freely else _copy_out(files, name))
        filesystem = ZipFileSystem(fo=archive, skip_instance_cache=True)
        normalise_names(filesystem.zip, where)
        return filesystem
    except OSError as error:
        raise DataError(f"{where} cannot be opened: {error.strerror or error}.") from None
    except ARCHIVE_ERRORS as error:
        raise DataError(f"{where} is damaged: {error}.") from None


def _copy_out(files: Files, name: str) -> IO[bytes]:
    """A temporary file without a name that holds one zip of another, and is gone when it is closed."""
    limit = min(MAX_INNER_BYTES, int(shutil.disk_usage(tempfile.gettempdir()).free * _MAX_SHARE_OF_DISK))
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as pictures are read
    with files.open(name) as packed:
        while block := packed.read(_BLOCK_BYTES):
            if copy.tell() + len(block) > limit:
                copy.close()
                raise DataError(
                    f"{files.path(name)} takes more than {limit / 1e9:,.1f} GB of temporary space. Unpack the zip "
                    "around it, and open the folder."
                )
            copy.write(block)
    copy.seek(0)
    return copy
