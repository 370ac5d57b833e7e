"""The points at which commands write, and commands that meet a fault at one of them (see points.c and runner.py)."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

HERE = Path(__file__).parent


class Fault(IntEnum):
    """What happens at a point; the numbers are those of points.c."""

    NONE = 0
    KILL = 1
    KILL_HALFWAY = 2
    FULL_DISK = 3
    READ_ONLY_DISK = 4


@dataclass(frozen=True)
class Point:
    """A call that changes a file below the folder of the commands.

    Attributes
    ----------
    number
        In the order of the calls, from 1.
    takes_space
        Whether it fails on a full disk.
    place
        The call and what kind of file it changes: names that differ from run to run are "*", numbers are "N".
    """

    number: int
    takes_space: bool
    place: str


@dataclass(frozen=True)
class Run:
    """A command that has ended: its exit status, negative for a signal, its output, and the points that it met."""

    status: int
    output: str
    points: list[Point]


class Runner:
    """Runs commands in the folder ``below``, in processes that start at once.

    The library is compiled into ``work``, which also holds journals and outputs. ``everything``: see runner.py; for
    hundreds of commands.
    """

    def __init__(self, below: Path, work: Path, *, everything: bool = True) -> None:
        self.below, self._work = below.resolve(), work
        library = work / "points.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, HERE / "points.c", "-ldl"], check=True)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(self.below / "cache"),
            "DIPTYCH_KEYS": str(self.below / "keys"),
        }
        self._process = subprocess.Popen(
            [sys.executable, HERE / "runner.py", *["everything"] * everything],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def run(self, command: list[str] | str, fault: Fault = Fault.NONE, at: int = 0) -> Run:
        """Run a command; the fault happens at the point of this number."""
        journal, output = self._work / "journal", self._work / "output"
        journal.unlink(missing_ok=True)
        request = {"command": command, "below": str(self.below), "fault": fault, "at": at}
        self._process.stdin.write(json.dumps({**request, "journal": str(journal), "output": str(output)}) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        lines = journal.read_text(errors="replace").splitlines() if journal.exists() else []
        return Run(status, output.read_text(errors="replace"), [self._point(line) for line in lines])

    def close(self) -> None:
        self._process.communicate()

    def _point(self, line: str) -> Point:
        number, call, effect, path, source = line.split("\t")
        file = role(str(Path(path).relative_to(self.below)))
        if source.startswith(f"{self.below}/"):
            file = f"{role(str(Path(source).relative_to(self.below)))} → {file}"
        return Point(int(number), effect == "0", f"{call} {file}")


def role(path: str) -> str:
    """The kind of a file: its path without what differs from run to run."""
    path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "*", path)
    path = re.sub(r"\.[0-9a-f]{12}\.draft", ".*.draft", path)
    path = re.sub(r"(?<=-)[a-z0-9_]{8}(?=/|$)", "*", path)  # of tempfile
    path = re.sub(r"\.tmp\w{6}(?=/|$)", ".tmp*", path)  # of LanceDB
    path = re.sub(r"pictures-[0-9a-f]{16}-[0-9a-f]{8}", "pictures-*", path)
    path = re.sub(r"[0-9a-f]{16,}", "*", path)
    return re.sub(r"\d+", "N", path)
