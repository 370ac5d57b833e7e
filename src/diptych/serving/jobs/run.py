"""One run of a job's command: started, followed until it ends, and stopped by SIGTERM, upon which it saves itself."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from diptych.engine import history
from diptych.serving.jobs.record import JobFolder

SECONDS_BETWEEN_LOOKS = 0.2
#: How long a command may take to save itself; then it is killed, and its last checkpoint counts.
GRACE_SECONDS = 60.0
MAX_READ_BYTES = 1 << 20  # of the log at a time
MAX_LINE = 2000  # characters of a line of the log that become an event
NICENESS = 5  # so that the server answers first


class JobRun:
    """A command at work in a job's folder.

    Parameters
    ----------
    words
        The command line.
    home
        Where it runs.
    folder
        The job's.
    model
        The folder of the model that it trains, whose ``history.jsonl`` is followed; ``None``: none.
    """

    def __init__(self, words: Sequence[str], home: Path, folder: JobFolder, model: Path | None) -> None:
        self._log = _Tail(folder.path / "log.txt")
        self._histories = [] if model is None else [_History(model), _History(model / "extension")]
        self._folder = folder
        self._stop = threading.Event()
        self._process = _start(words, home, folder.path)
        self.process_id = self._process.pid

    def stop(self) -> None:
        """Ask the command to end."""
        self._stop.set()

    def follow(self) -> int:
        """Turn what the command writes into events until it ends; returns its exit code, as a shell would."""
        asked = 0.0
        while True:
            try:
                code = self._process.wait(SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                code = None
            self._add_events()
            if code is not None:
                return code if code >= 0 else 128 - code
            if self._stop.is_set() and not asked:
                asked = time.monotonic()
                self._process.terminate()
            elif asked and time.monotonic() - asked > GRACE_SECONDS:
                _signal_group(self._process.pid, signal.SIGKILL)

    def _add_events(self) -> None:
        with suppress(OSError):  # such as a log that somebody deleted; the command goes on
            for line in self._log.new_lines():
                self._folder.add_event("log", line[:MAX_LINE])
        for records in self._histories:
            for record in records.new_records():
                self._folder.add_event("tick", record)


class _Tail:
    """The lines that are appended to a file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def new_lines(self) -> list[str]:
        """Those that have become complete since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            text = file.read(MAX_READ_BYTES)
        complete = text[: text.rfind(b"\n") + 1] if len(text) < MAX_READ_BYTES else text
        self._at += len(complete)
        return complete.decode("utf-8", errors="replace").splitlines()


class _History:
    """The records that a run adds to its history from now on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / history.FILE
        self._seen_pictures = 0
        self._changed = 0
        self.new_records()

    def new_records(self) -> list[history.Record]:
        """Those since the last call; the file is replaced as a whole, so that it is whole at every moment."""
        try:
            changed = self._path.stat().st_mtime_ns
        except OSError:
            return []
        if changed == self._changed:
            return []
        self._changed = changed
        records = [record for record in _read(self._path) if record["seen_pictures"] > self._seen_pictures]
        if records:
            self._seen_pictures = records[-1]["seen_pictures"]
        return records


def _read(path: Path) -> list[history.Record]:
    with suppress(OSError, ValueError):
        return history.read(path)
    return []


def _start(words: Sequence[str], home: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """The command with its output in files, so that it does not depend on the server; it holds the folder's lock."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with (folder / "log.txt").open("ab") as log, (folder / "result.json").open("wb") as result:
            process = subprocess.Popen(
                words,
                cwd=home,
                env=_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
            )
    finally:
        os.close(lock)
    with suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _environment(server: Mapping[str, str]) -> dict[str, str]:
    """The server's environment without its own settings, among them its token; the hub is not asked for anything."""
    kept: dict[str, Any] = {name: value for name, value in server.items() if not name.startswith("DIPTYCH_")}
    return {**kept, "HF_HUB_OFFLINE": "1"}


def end_orphan(folder: Path, process_id: int | None) -> None:
    """End a command that a server left behind, and wait for it; whether it runs is told by its lock, not its number."""
    deadline = time.monotonic() + GRACE_SECONDS
    asked = False
    while _is_locked(folder / "lock") and process_id:
        late = time.monotonic() > deadline
        if late or not asked:
            _signal_group(process_id, signal.SIGKILL if late else signal.SIGTERM)
            asked = True
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def _signal_group(process_id: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, number)
