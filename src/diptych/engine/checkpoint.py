"""Checkpoints that survive a kill at any moment.

::

    checkpoint/
      run.json         the settings of the run
      000012800/       one folder a checkpoint, named by pictures seen
        state.pt       read with ``weights_only=True``
        state.sha256
      latest           the name of the newest intact one; written last

A checkpoint is written to a temporary folder, synced and renamed; then ``latest`` is updated. A damaged checkpoint is
skipped for the one before it.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from msgspec import Struct

from diptych import artefact, files, json_reader
from diptych.engine.stopping.signals import held
from diptych.errors import ArtefactError, DataError, UsageError

log = logging.getLogger("diptych")
MAX_CHECKPOINTS = 2  # the newest and the one to fall back on
MAX_WRITE_SECONDS = 3600.0  # after which no process is writing to a draft any more
LENGTH = ("minutes", "epochs")  # the settings that say how long a run is
State = dict[str, Any]


class RunRecord(Struct):
    """``run.json``."""

    format: int = 0  # before there was one
    settings: dict[str, Any] = {}


class _HashingFile:
    """A file that hashes what is written to it, in one pass over the bytes, and remembers why writing failed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        self._file.flush()


@held()
def save(folder: Path, state: State, seen_pictures: int) -> None:
    """Write ``state`` as the newest checkpoint of the run in ``folder`` and delete all but two; signals wait."""
    root = folder / "checkpoint"
    target = root / f"{seen_pictures:012d}"
    draft = root / f".{target.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        digest = _write_state(draft / "state.pt", state)
        files.write_text(draft / "state.sha256", digest)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)  # it would take up the rest of a full disk
        raise
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    files.write_text(root / "latest", target.name)
    for old in (*_newest_first(root)[MAX_CHECKPOINTS:], *_abandoned(root)):
        shutil.rmtree(old, ignore_errors=True)


def _abandoned(root: Path) -> list[Path]:
    """What kills have left of checkpoints that were being written: a run that is often killed would fill the disk."""
    drafts = [path for path in root.iterdir() if path.name.startswith(".") and path.is_dir()]
    return [path for path in drafts if time.time() - path.stat().st_mtime > MAX_WRITE_SECONDS]


def _write_state(path: Path, state: State) -> str:
    """Write ``state`` to a new file; returns the digest of its bytes."""
    with path.open("wb") as file:
        hashed = _HashingFile(file)
        try:
            torch.save(state, hashed)  # type: ignore[arg-type]  # torch needs only write and flush of a file
        except RuntimeError as error:  # whatever fails inside a write, torch raises this
            failure = hashed.failure
            if failure is None:
                raise
            raise OSError(failure.errno, failure.strerror, str(path.parent.parent)) from error
        file.flush()
        os.fsync(file.fileno())
    return hashed.digest.hexdigest()


def load(folder: Path) -> State | None:
    """The newest intact checkpoint of the run in ``folder``, on the CPU; ``None`` where there is none."""
    root = folder / "checkpoint"
    for path in _newest_first(root):
        try:
            return _read(path)
        except (OSError, ArtefactError, DataError) as error:
            log.warning("The checkpoint %s is damaged (%s); falling back to the one before.", path, error)
    return None


def _newest_first(root: Path) -> list[Path]:
    """The checkpoints: the one that ``latest`` names, then the others from new to old."""
    if not root.is_dir():
        return []
    latest = root / "latest"
    name = latest.read_text(encoding="utf-8", errors="replace").strip() if latest.is_file() else ""
    folders = [p for p in root.iterdir() if p.is_dir() and p.name.isdigit()]
    return sorted(folders, key=lambda p: (p.name == name, p.name), reverse=True)


def _read(path: Path) -> State:
    for name in ("state.pt", "state.sha256"):
        json_reader.check_ordinary(path / name)
    with (path / "state.pt").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != (path / "state.sha256").read_text(encoding="utf-8", errors="replace").strip():
        raise ArtefactError("its checksum does not match")
    try:
        state: State = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    except Exception as error:  # of bytes that are no checkpoint, torch raises whatever it stumbles over
        raise ArtefactError((str(error).splitlines() or [type(error).__name__])[0]) from error
    if not isinstance(state, dict):
        raise ArtefactError("it is not the state of a run")
    return state


def remove(folder: Path) -> None:
    """Delete the checkpoints of a finished run."""
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Mark ``folder`` as belonging to the run with these settings.

    Raises
    ------
    UsageError
        The folder holds a run, finished or not, with other settings, or other files.
    """
    stored = stored_settings(folder)
    if stored is None:
        if files.is_occupied(folder) and not artefact.exists(folder):
            raise UsageError(f"{folder} already contains files that are not a model. Name a new or an empty folder.")
        files.write_text(
            folder / "checkpoint" / "run.json", json.dumps({"format": artefact.FORMAT, "settings": settings}, indent=1)
        )
        return
    _refuse_differences(folder, stored, settings)


def check_length(folder: Path | None, settings: Mapping[str, Any]) -> None:
    """Refuse another length than that of the run in ``folder``, which is known before any picture is read.

    Raises
    ------
    UsageError
        Names both.
    """
    stored = None if folder is None else stored_settings(folder)
    if folder is not None and stored is not None:
        _refuse_differences(folder, *({name: s.get(name) for name in LENGTH} for s in (stored, settings)))


def _refuse_differences(folder: Path, stored: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differing = differences(stored, settings)
    if not differing:
        return
    cure = "Choose another folder, or delete that one."
    if any(stored.get(name) != settings.get(name) for name in LENGTH):
        cure = (
            "To train that model further, give the command that fitted it with --more MINUTES (in Python: "
            "more=MINUTES). For another model choose another folder."
        )
        if not artefact.is_finished(folder):
            usable = " The model that it has so far can be used as it is." if artefact.exists(folder) else ""
            cure = (
                f"A run keeps its length: continue it by the command that began it, choose another folder, or delete "
                f"that one.{usable}"
            )
    raise UsageError(f"{folder} already holds another run ({differing}). {cure}")


def differences(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """What differs between the settings of a stored run and these, as a message names it; empty if nothing does."""
    wanted = json.loads(json.dumps(settings))
    names = sorted(name for name in {*stored, *wanted} if stored.get(name) != wanted.get(name))
    return ", ".join(f"{k}: {_short(stored.get(k))} there, {_short(wanted.get(k))} here" for k in names)


def is_finished(folder: Path | None, settings: Mapping[str, Any]) -> bool:
    """Whether ``folder`` holds the finished model of the run with these settings.

    Raises
    ------
    UsageError
        The folder holds a run, finished or not, with other settings.
    """
    if folder is None or not artefact.is_finished(folder):
        return False
    claim(folder, settings)
    artefact.complete(folder)
    remove(folder)  # where a kill came between the last file of the model and this
    return True


def stored_settings(folder: Path) -> dict[str, Any] | None:
    """The settings of the run that ``folder`` holds, finished or not; ``None`` if there is none.

    Raises
    ------
    ArtefactError, UsageError
        The model was saved, or the run begun, by a version whose files this one does not read.
    DataError
        ``run.json`` is damaged.
    """
    if artefact.is_finished(folder):
        settings: dict[str, Any] = artefact.facts(folder).get("settings", {})
        return settings
    path = folder / "checkpoint" / "run.json"
    if not path.exists():
        return None
    stored = json_reader.read(path, RunRecord, f"Delete {folder}, or choose another folder")
    if stored.format != artefact.FORMAT:
        raise UsageError(
            f"{folder} holds a run that another version of Diptych began. Choose another folder, delete that one, or "
            "finish the run with the version that began it."
        )
    return stored.settings


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else text[:10] + "…"
