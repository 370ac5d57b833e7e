"""What this machine can spare: decoding threads and free memory."""

import os
from pathlib import Path

_DEFAULT_FREE_BYTES = 4 << 30  # where the system does not say
_MAX_WORKERS = 16


def core_count() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count() -> int:
    """Number of decoding threads: Pillow releases the interpreter lock while it decodes."""
    return min(_MAX_WORKERS, core_count())


def free_memory_bytes() -> int:
    """Memory in bytes that this process may still take: of the machine, or of its container where that is less."""
    free = _DEFAULT_FREE_BYTES
    lines = _text("/proc/meminfo").splitlines()
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    if "MemAvailable" in fields:
        free = fields["MemAvailable"]
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit, used = (_text(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdigit() and used.isdigit():
        free = min(free, max(0, int(limit) - int(used)))
    return free


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
