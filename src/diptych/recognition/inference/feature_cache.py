"""The feature cache: what a backbone computes for a picture, kept on disk by the picture's content.

A backbone that is not trained gives the same features for a picture whatever it is used for, and computing them is
most of the work. Each file holds the rows of some hundred pictures; a new one is added for pictures that are in none.
Files that were not used for longest are deleted once all together are too large.
"""

import logging
import os
import secrets
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych import files, tensor_files
from diptych.opening import checked

log = logging.getLogger("diptych")
MAX_BYTES = 4_000_000_000  # of all files, of all backbones
Digests = NDArray[np.uint64]


class FeatureCache:
    """Rows of numbers for pictures, by the digests of their contents.

    A folder that cannot be read or written is an empty cache; a damaged file in it is deleted.

    Parameters
    ----------
    key
        What the rows depend on besides the pictures, as a folder's name: rows of another key are never mixed up.
    """

    def __init__(self, key: str) -> None:
        self._folder = files.cache_folder() / "features" / key
        self._positions: dict[int, tuple[Path, int]] = {}  # of each digest: its file and row
        for path in sorted(self._folder.glob("*.safetensors")):
            self._index(path)

    def get(self, digests: Digests) -> tuple[Tensor, NDArray[np.bool_]]:
        """(n, D) rows of those pictures that are in the cache, in order, and (N,) which of the N these are."""
        positions = [self._positions.get(digest) for digest in digests.tolist()]
        contents = {path: self._rows(path) for path in {position[0] for position in positions if position}}
        rows = [
            None if position is None or (content := contents[position[0]]) is None else content[position[1]]
            for position in positions
        ]
        present = [row for row in rows if row is not None]
        return torch.stack(present) if present else torch.empty(0, 0), np.array([row is not None for row in rows], bool)

    def add(self, digests: Digests, rows: Tensor) -> None:
        """Keep (n, D) rows; those of pictures that could not be read, with digest 0 or NaN, are left out."""
        kept = torch.from_numpy(digests != 0) & ~rows.isnan().any(1)
        if not kept.any():
            return
        content = {"digests": torch.from_numpy(digests.view(np.int64))[kept], "rows": rows[kept]}
        path = self._folder / f"{secrets.token_hex(8)}.safetensors"
        try:
            files.write_bytes(path, tensor_files.pack(content), synced=False)
            _mark_used(path)
            _delete_oldest(self._folder.parent)
        except OSError as error:  # a full disk, or a home that is read-only
            log.debug("Features are not kept: %s", error)
            return
        self._index(path)

    def _index(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(checked(path), "pt") as file:
                digests = file.get_tensor("digests").numpy().view(np.uint64)
                count = file.get_slice("rows").get_shape()[0]
        except (SafetensorError, OSError) as error:
            _forget(path, error)
            return
        if count == len(digests):
            self._positions |= {digest: (path, row) for row, digest in enumerate(digests.tolist())}

    def _rows(self, path: Path) -> Tensor | None:
        """The rows of a file; ``None`` if it has gone, deleted by another process, or is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            _mark_used(path)
            return load_file(checked(path))["rows"]
        except (SafetensorError, OSError, KeyError) as error:
            _forget(path, error)
            return None


def _mark_used(path: Path) -> None:
    """Put a file among the last to be deleted; the system's own times only tick every few milliseconds."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _forget(path: Path, error: Exception) -> None:
    log.debug("Features are computed again, since %s cannot be read: %s", path, error)
    try:
        path.unlink(missing_ok=True)
    except OSError as reason:
        log.debug("It cannot be deleted either: %s", reason)


def _delete_oldest(folder: Path) -> None:
    """Delete the files that were not used for longest, until all together are small enough."""
    stats = {path: path.stat() for path in folder.glob("*/*.safetensors")}
    total = sum(stat.st_size for stat in stats.values())
    for path in sorted(stats, key=lambda path: stats[path].st_mtime_ns):
        if total <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= stats[path].st_size
