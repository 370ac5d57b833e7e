"""Runs a command in its own process and measures its seconds and peak memory; describes the hardware."""

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SAMPLE_SECONDS = 0.1
MEGABYTE = 1e6


@dataclass(frozen=True)
class Measured:
    """Measurements of one process: its output, wall seconds from its start to its end, and peak resident bytes."""

    stdout: str
    seconds: float
    peak_bytes: int


def run(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run ``command`` to its end.

    The peak is the larger of the kernel's high-water mark of the process and the largest sum over the process and
    its children, both sampled: a program that works in child processes must not look small.

    Raises
    ------
    SystemExit
        The command failed; the message includes its output.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    sampler = _Sampler(process.pid)
    sampler.start()
    assert process.stdout is not None
    with process.stdout:
        stdout = process.stdout.read()
    process.wait()
    seconds = time.perf_counter() - start
    sampler.stop()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with exit code {process.returncode}.\n{stdout}")
    return Measured(stdout, seconds, sampler.peak_bytes)


class _Sampler(threading.Thread):
    """Samples the resident memory of a process and all its descendants, from /proc.

    Not from the rusage of an ended child, which includes the memory of the process that started it.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_bytes = pid, 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            now = sum(_kilobytes(pid, "VmRSS") for pid in _family(self.pid))
            self.peak_bytes = max(self.peak_bytes, 1024 * now, 1024 * _kilobytes(self.pid, "VmHWM"))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def proportional_bytes(pid: int) -> int:
    """Memory of a process and its descendants in which each shares a common page by its part (PSS)."""
    return 1024 * sum(_proportional_kilobytes(member) for member in _family(pid))


def _proportional_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _family(pid: int) -> list[int]:
    """The process and its descendants."""
    try:
        children = [int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in _children(task)]
    except OSError:  # it has ended, or there is no /proc
        return []
    return [pid, *(descendant for child in children for descendant in _family(child))]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text(encoding="ascii").split()


def _kilobytes(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def hardware(*packages: str) -> dict[str, str]:
    """The machine and the versions in use, for the page of results."""
    facts = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    return {**facts, **{name: _version(name) for name in packages}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
