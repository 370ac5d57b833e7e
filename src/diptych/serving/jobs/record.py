"""One job: what is asked for, how far it is, and its files.

::

    FOLDER/.jobs/20261129-120501-3f9a/
      job.json       the record below, written atomically
      events.jsonl   what happened, a line each; an event's id is where its line ends
      log.txt        stderr of the command
      result.json    stdout of the command
      lock           locked by the command for as long as it runs, also when the server is gone
      report.html, manifest.csv, model.onnx, map.json, audit.json, verdict.json  what the command wrote
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from diptych import files, json_reader

log = logging.getLogger("diptych")
State = Literal["waiting", "running", "done", "failed", "cancelled", "stopped"]
UNFINISHED = ("waiting", "running")
RESUMABLE = ("failed", "cancelled", "stopped")
#: What a client may fetch of a job's folder.
OUTPUTS = ("report.html", "manifest.csv", "model.onnx", "map.json", "audit.json", "verdict.json", "log.txt")


@dataclass
class Job:
    """The record of a job.

    Attributes
    ----------
    state
        "stopped": the server ended before the job did; it can be resumed, as one that failed or was cancelled.
    created, started, ended
        Seconds since 1970.
    message
        Why it failed, in a sentence.
    process
        The number of its process, while it runs.
    """

    id: str
    verb: str
    options: dict[str, Any]
    state: State = "waiting"
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    message: str = ""
    process: int | None = None

    @classmethod
    def new(cls, verb: str, options: dict[str, Any]) -> "Job":
        """A job that waits; identifiers are in the order in which jobs are created."""
        now = time.time()
        stamp = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now * 1e6) % 1_000_000:06d}"
        return cls(f"{stamp}-{secrets.token_hex(2)}", verb, options, created=now)


class JobFolder:
    """The files of a job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Job:
        """The record.

        Raises
        ------
        ValueError, TypeError, OSError
            It is damaged.
        """
        return json_reader.read(self.path / "job.json", Job)

    def write(self, job: Job) -> None:
        """Write the record, atomically; a disk that is full stops no job."""
        with _warned_of(self.path):
            files.write_text(self.path / "job.json", json.dumps(asdict(job)) + "\n")

    def result(self) -> Any:
        """What the command printed: its last line of JSON, or nothing."""
        path = self.path / "result.json"
        try:
            return json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        except (OSError, ValueError, IndexError):
            return None

    def outputs(self) -> list[str]:
        """The names of the files that a client may fetch."""
        return [name for name in OUTPUTS if (self.path / name).is_file()]

    def last_error(self) -> str:
        """The last line of the log that says what is wrong; empty if there is none."""
        try:
            lines = (self.path / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.removeprefix("Error: ") for line in reversed(lines) if line.startswith("Error: ")), "")

    def add_event(self, kind: str, data: Any) -> None:
        """Append an event; a disk that is full stops no job."""
        line = json.dumps({"event": kind, "data": data}) + "\n"
        with _warned_of(self.path):
            self.path.mkdir(exist_ok=True)
            with (self.path / "events.jsonl").open("ab") as file:
                file.write(line.encode())

    def events(self, after: int) -> Iterator[tuple[int, str, Any]]:
        """The identifier, kind and data of the events after the one of this identifier; 0: all.

        An identifier that no event has stands for 0.
        """
        try:
            file = (self.path / "events.jsonl").open("rb")
        except FileNotFoundError:
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            if 0 < after <= size:
                file.seek(after - 1)
                after = after if file.read(1) == b"\n" else 0
            file.seek(after if after <= size else 0)
            while (line := file.readline()).endswith(b"\n"):
                record = json.loads(line)
                yield file.tell(), record["event"], record["data"]


@contextmanager
def _warned_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("The job in %s cannot be written to disk: %s", folder, error.strerror)
