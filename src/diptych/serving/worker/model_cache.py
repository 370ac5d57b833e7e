"""The models of a folder, loaded on first use; the least recently used is dropped for another."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.loading import load
from diptych.recognition.gallery.gallery import Gallery

Stamp = tuple[int, int, int]  # of model.json: inode, time of its last change, bytes


class ModelCache:
    """Up to ``capacity`` models of the folder ``home``; one that is replaced on disk is loaded again."""

    def __init__(self, home: Path, capacity: int) -> None:
        self._home, self._capacity = home, capacity
        self._models: OrderedDict[str, tuple[Stamp, Any]] = OrderedDict()

    def get(self, name: str) -> Any:
        """The model of this name.

        Raises
        ------
        ArtefactError, UsageError
            As :func:`diptych.loading.load`.
        """
        stamp = _stamp(self._home / name)
        cached = self._models.get(name)
        if cached is None or (cached[0] != stamp and not isinstance(cached[1], Gallery)):  # which sees changes itself
            self._models.pop(name, None)
            while len(self._models) >= self._capacity:
                self._models.popitem(last=False)
            cached = self._models[name] = stamp, load(self._home / name)
        self._models.move_to_end(name)
        return cached[1]


def _stamp(folder: Path) -> Stamp:
    try:
        status = os.stat(artefact.path_of(folder, "model.json"))  # noqa: PTH116 - of every batch
    except OSError:
        return 0, 0, 0  # loading says what is wrong
    return status.st_ino, status.st_mtime_ns, status.st_size
