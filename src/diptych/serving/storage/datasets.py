"""The data sets that a server keeps: folders of class folders, which grow by uploads and change by relabelling.

Those under ``FOLDER/data`` are the server's own; folders that were named when it started are there to read, unless they
lie within ``FOLDER``. A picture arrives as a draft, is checked, and only then moved to its place, where nothing is ever
overwritten.
"""

import os
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from diptych import files
from diptych.data.decoding.kinds import PICTURE_SUFFIXES
from diptych.data.sources.own_outputs import SAMPLE_FILES, SAMPLE_RECORD
from diptych.errors import UsageError
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.names import inside, picture_name, safe_name

DROPPED = ".dropped"  # in a set's folder: pictures that were set aside, under their paths


@dataclass(frozen=True)
class StoredPicture:
    """A picture of a data set: its path within, with "/"; its label, empty outside of class folders; its bytes."""

    path: str
    label: str
    bytes: int


class DataSets:
    """The data sets of a server, by name.

    Parameters
    ----------
    home
        The server's folder; its own sets are in ``data/`` there.
    given
        Folders of pictures that were named when the server started, by their own names.
    quota_bytes
        How much the sets in ``data/`` may take together.
    """

    def __init__(self, home: Path, given: Sequence[Path] = (), *, quota_bytes: int) -> None:
        self.root = home / "data"
        self._drafts = self.root / ".drafts"
        self._quota_bytes = quota_bytes
        self._home = home.resolve()
        self._given = {folder.resolve().name: folder.resolve() for folder in given}
        if len(self._given) < len(given):
            raise UsageError("Two of the data folders have the same name. Rename one of them.")
        self._lock = threading.Lock()  # a place is looked at and taken in one step
        shutil.rmtree(self._drafts, ignore_errors=True)
        self._drafts.mkdir(parents=True)
        self._used_bytes = sum(picture.bytes for name in self.names() for picture in self._kept(name))

    def names(self) -> list[str]:
        """The names of all sets, in order."""
        own = [path.name for path in self.root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return sorted({*own, *self._given})

    def folder(self, name: str) -> Path:
        """The folder of a set.

        Raises
        ------
        RefusedError
            404: there is no such set.
        """
        if name not in self.names():
            raise RefusedError(404, "not_found", f"There is no data set called {name[:200]!a}.")
        return self._given.get(name, self.root / name)

    def is_writable(self, name: str) -> bool:
        """Whether pictures may be added, moved and deleted."""
        return self.folder(name).resolve().is_relative_to(self._home)

    def create(self, name: str) -> str:
        """Add an empty set; returns its name as it is written.

        Raises
        ------
        RefusedError
            409: there is one of this name.
        UsageError
            The name is not possible.
        """
        safe = safe_name(name)
        with self._lock:
            if safe in self.names():
                raise RefusedError(409, "name_taken", f"There is a data set called {safe} already.")
            (self.root / safe).mkdir()
        return safe

    def pictures(self, name: str) -> Iterator[StoredPicture]:
        """The pictures of a set, in the order of their paths; links that lead out of it are left out."""
        return _pictures_in(self.folder(name))

    def counts(self, name: str) -> dict[str, int]:
        """The number of pictures of each label."""
        return dict(sorted(Counter(picture.label for picture in self.pictures(name)).items()))

    def picture(self, name: str, path: str) -> Path:
        """The file of a picture.

        Raises
        ------
        RefusedError
            404: there is no such picture.
        """
        file = inside(self.folder(name), path)
        if not file.is_file() or file.suffix.lower() not in PICTURE_SUFFIXES:
            raise RefusedError(404, "not_found", f"There is no picture {path[:200]!a} in {name}.")
        return file

    def place(self, name: str, label: str, file: str) -> Path:
        """Where a new picture will be.

        Raises
        ------
        RefusedError
            403: the set is there to read; 409: there is a picture of this name.
        UsageError
            The label or the file's name is not possible.
        """
        target = self._writable(name) / safe_name(label, "label") / picture_name(file)
        if target.parent.is_symlink():
            raise RefusedError(403, "read_only", f"The class {label} is a link to another folder.")
        if target.parent.exists() and not target.parent.is_dir():
            raise RefusedError(409, "name_taken", f"There is a file called {label}. Choose another label.")
        if target.exists() or target.is_symlink():
            raise RefusedError(409, "name_taken", f"There is a picture {label}/{target.name} already.")
        return target

    def draft(self) -> "Draft":
        """A file for a picture that is arriving."""
        return Draft(self, self._drafts / secrets.token_hex(8))

    def keep(self, draft: "Draft", name: str, label: str, file: str) -> StoredPicture:
        """Move a picture that has been checked to its place; see :meth:`place` for what is raised."""
        with self._lock:
            target = self.place(name, label, file)
            target.parent.mkdir(exist_ok=True)
            files.move(draft.path, target)
        draft.kept = True
        return StoredPicture(f"{target.parent.name}/{target.name}", target.parent.name, target.stat().st_size)

    def relabel(self, name: str, paths: Sequence[str], label: str) -> list[str]:
        """Move pictures to the folder of another class, all or none; returns their new paths.

        Raises
        ------
        RefusedError
            403, 404, 409: the set is there to read, a picture is not there, or the class has one of its name.
        UsageError
            The label is not possible.
        """
        with self._lock:
            self._writable(name)
            sources = [self.picture(name, path) for path in dict.fromkeys(paths)]
            moves = [(source, self.place(name, label, source.name)) for source in sources]
            if len({target for _, target in moves}) < len(moves):
                raise RefusedError(409, "name_taken", "Two of the pictures have the same file name.")
            move_all(moves)
        return [f"{target.parent.name}/{target.name}" for _, target in moves]

    def drop(self, name: str, paths: Sequence[str]) -> list[str]:
        """Set pictures aside, all or none: they stay on disk, and are no part of the set until they are restored.

        Raises
        ------
        RefusedError
            403, 404, 409: the set is there to read, a picture is not there, or one of its name was dropped before.
        """
        return self._move_aside(name, paths, back=False)

    def restore(self, name: str, paths: Sequence[str]) -> list[str]:
        """Take pictures that were dropped into the set again, all or none; see :meth:`drop` for what is raised."""
        return self._move_aside(name, paths, back=True)

    def _move_aside(self, name: str, paths: Sequence[str], *, back: bool) -> list[str]:
        """Move pictures from the set into the folder of those that were dropped, or ``back``; returns their paths."""
        chosen = list(dict.fromkeys(paths))
        with self._lock:
            root = self._writable(name)
            aside = root / DROPPED
            source, target = (aside, root) if back else (root, aside)
            for path in chosen:
                file, hidden = inside(source, path), any(part.startswith(".") for part in path.split("/"))
                if hidden or not file.is_file() or file.suffix.lower() not in PICTURE_SUFFIXES:
                    raise RefusedError(404, "not_found", f"There is no picture {path[:200]!a} in {name}.")
                if (target / path).exists():
                    raise RefusedError(409, "name_taken", f"There is another picture {path} there already.")
            move_all([(source / path, target / path) for path in chosen])
        return chosen

    def delete(self, name: str, path: str) -> None:
        """Delete a picture; its class goes with its last one.

        Raises
        ------
        RefusedError
            403, 404: the set is there to read, or there is no such picture.
        """
        with self._lock:
            root = self._writable(name)
            file = self.picture(name, path)
            size = file.lstat().st_size
            file.unlink()
            if file.parent != root and not any(file.parent.iterdir()):
                file.parent.rmdir()
        self._use(-size)

    def _use(self, size: int) -> None:
        """Count bytes against the quota.

        Raises
        ------
        RefusedError
            507: it is used up.
        """
        with self._lock:
            if size > 0 and self._used_bytes + size > self._quota_bytes:
                raise RefusedError(
                    507,
                    "quota",
                    f"The data sets may take {self._quota_bytes / 1e9:g} GB together. Delete pictures, or start the "
                    "server with a larger --quota-gb.",
                )
            self._used_bytes += size

    def _kept(self, name: str) -> Iterator[StoredPicture]:
        """The pictures that count against the quota, those that were dropped too."""
        root = self.folder(name)
        return chain(_pictures_in(root), _pictures_in(root / DROPPED)) if self.is_writable(name) else iter(())

    def _writable(self, name: str) -> Path:
        folder = self.folder(name)
        if not self.is_writable(name):
            raise RefusedError(403, "read_only", f"The data set {name} is there to read. Copy it into a new one.")
        return folder


def move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move files, each from its place to another; all or, where the disk refuses one, none."""
    moved: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            files.move(source, target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            with suppress(OSError):
                files.move(target, source)
        raise


def _pictures_in(root: Path) -> Iterator[StoredPicture]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
        parts = Path(folder).relative_to(root).parts
        if SAMPLE_RECORD in names:  # the sheet of what was sampled is none of its pictures
            names = [file for file in names if file not in SAMPLE_FILES]
        for file in sorted(names):
            path = Path(folder, file)
            if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.is_symlink():
                yield StoredPicture("/".join((*parts, file)), parts[-1] if parts else "", path.stat().st_size)


class Draft:
    """A picture that is arriving, as a file; gone at the end of the block unless it was kept."""

    def __init__(self, datasets: DataSets, path: Path) -> None:
        self._datasets = datasets
        self._file: BinaryIO | None = None
        self._bytes = 0
        self.path = path
        self.kept = False

    def __enter__(self) -> "Draft":
        self._file = self.path.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # such as a full disk, which has been raised already
                self._file.close()
        if not self.kept:
            self.path.unlink(missing_ok=True)
            self._datasets._use(-self._bytes)

    def write(self, data: bytes) -> None:
        """Append what has arrived.

        Raises
        ------
        RefusedError
            507: the quota is used up.
        """
        self._datasets._use(len(data))
        self._bytes += len(data)
        if self._file is not None:
            self._file.write(data)

    def finish(self) -> None:
        """Close the file, on disk; it can be read from now on."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
