"""What a verdict has done so far, on disk: a killed one continues there, and another one is refused.

::

    FOLDER/
      report.html, verdict.json       the finished verdict
      progress/settings.json          the identity of this verdict
      progress/NAME.json, NAME.safetensors    generated pictures, the filter's choice, a trained arm of one seed, …

Each file is written atomically when its work is done, and never changed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from diptych import files, json_reader, tensor_files
from diptych.errors import UsageError

PROGRESS = "progress"
CURE = "Delete it, and the same command does again what it held"
PAGE, ANSWER = OUTPUTS = "report.html", "verdict.json"
RUNS = "run-"  # what the names of trained arms begin with


class State:
    """The files of a verdict in ``folder``, which belongs to the one with these ``settings`` (JSON-able).

    Raises
    ------
    UsageError
        The folder holds another verdict, or other files.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self._root = folder / PROGRESS
        identity = json.loads(files.json_text(settings))
        known = self.record("settings")
        if known is None and any(files.is_occupied(folder / name) for name in (PROGRESS, *OUTPUTS)):
            raise UsageError(f"{folder} holds the report of something else. Name a new folder for the verdict.")
        if known is not None and known != identity:
            differing = [name for name in identity if known.get(name) != identity[name]]
            raise UsageError(
                f"{folder} holds another verdict: {', '.join(differing) or 'its version'} differ. Name another folder, "
                "or repeat the command that began it."
            )
        if known is None:
            self.save_record("settings", identity)

    def record(self, name: str) -> dict[str, Any] | None:
        """A record that was saved; ``None``: not yet. A :class:`DataError`: it is damaged."""
        path = self._root / f"{name}.json"
        return json_reader.read(path, dict[str, Any], CURE) if path.exists() else None

    def save_record(self, name: str, record: Mapping[str, Any]) -> None:
        """Save a record, JSON-able."""
        files.write_text(self._root / f"{name}.json", files.json_text(record))

    def tensors(self, name: str) -> dict[str, Tensor] | None:
        """Tensors that were saved, by name; ``None``: not yet."""
        path = self._root / f"{name}.safetensors"
        return tensor_files.read(path) if path.exists() else None

    def save(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Save tensors."""
        files.write_bytes(self._root / f"{name}.safetensors", tensor_files.pack(dict(tensors)))

    def has(self, name: str) -> bool:
        """Whether tensors of this name were saved."""
        return (self._root / f"{name}.safetensors").exists()

    def remove_runs(self) -> None:
        """Delete the trained arms, which nothing needs any more."""
        for path in self._root.glob(f"{RUNS}*.safetensors"):
            path.unlink()
