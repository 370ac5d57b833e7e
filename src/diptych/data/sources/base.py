"""What every source of pictures has in common: rows, and the bytes or pixels of each row."""

import errno
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import DecodedCache
from diptych.errors import PictureError

log = logging.getLogger("diptych")
ORIGINS = ("real", "synthetic", "composite")  # taken; made; part real and part made


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is known about each picture of a source before one is decoded."""

    paths: Sequence[str]  # a name for each picture, fit to be shown
    labels: NDArray[Any]  # (N,) int64, -1 unlabelled; or (N, K) bool
    classes: tuple[str, ...] = ()
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    origins: NDArray[Any] | None = None  # None: every picture is real
    skipped: tuple[PictureError, ...] = ()


class Source(ABC):
    """An ordered set of pictures and where their contents are."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.decoded = DecodedCache(self)

    def __len__(self) -> int:
        return len(self.rows.labels)

    @abstractmethod
    def read(self, row: int) -> bytes | memoryview | NDArray[np.uint8]:
        """Return a file's bytes, or pixels that are (H, W, 3) uint8 already. Raises PictureError."""

    @abstractmethod
    def identity(self, row: int) -> bytes:
        """What tells this picture from another without decoding it: cheap, and the same on any machine."""


def no_labels(n: int) -> NDArray[Any]:
    """(N,) of -1."""
    return np.full(n, -1, np.int64)


def printable(path: str) -> str:
    r"""Make a path fit to print: a name that is not UTF-8 shows its odd bytes as ``\xff``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def reason(error: OSError) -> str:
    """Why a file could not be opened, in words."""
    words = {
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.ENOENT: "the file is not there",
        errno.ELOOP: "the link leads back to itself",
        errno.EISDIR: "it is a folder",
    }
    return words.get(error.errno or 0, f"it cannot be read ({error.strerror or error})")


def join_names(items: Sequence[str], limit: int = 3) -> str:
    """Join a few names for a sentence: "a, b, c and 5 more"."""
    head = ", ".join(items[:limit])
    return head if len(items) <= limit else f"{head} and {len(items) - limit} more"
