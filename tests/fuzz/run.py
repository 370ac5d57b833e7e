"""Fuzz the readers: ``python tests/fuzz/run.py --minutes N [TARGET ...]``.

Each reader has a process of its own (``process.py``) for its share of the minutes. What is found goes into
``findings/TARGET/``, one small file for each place that fails, which ``test_findings.py`` reads again from then on.
With ``-o`` the table is written as a page of results too.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FINDINGS = HERE / "findings"
ROOT = HERE.parents[1]
COVERAGE = re.compile(r"^#\d+\s+\w+\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
MAX_STARTS = 20  # of one reader: each ends at a crash, a hang, or memory without bounds
COLUMNS = (
    "reader",
    "executions",
    "coverage at start",
    "at end",
    "features at start",
    "at end",
    "slowest input, s",
    "peak MB",
    "findings",
)


@dataclass
class Result:
    """What came of one reader; coverage and features are libFuzzer's, of the seeds and at the end."""

    executions: int = 0
    coverage: tuple[int, int] = (0, 0)
    features: tuple[int, int] = (0, 0)
    slowest: float = 0.0
    peak_bytes: int = 0
    findings: tuple[str, ...] = ()

    def cells(self) -> list[object]:
        """A row of the table."""
        names = ", ".join(self.findings) or "none"
        return [
            f"{self.executions:,}",
            *self.coverage,
            *self.features,
            f"{self.slowest:.2f}",
            f"{self.peak_bytes / 1e6:.0f}",
            names,
        ]


def fuzz(name: str, seconds: float, ram: Path) -> Result:
    """Fuzz one reader, in a new process after each that ended too soon."""
    out = ram / name
    (out / "tmp").mkdir(parents=True)
    result, log, end = Result(), "", time.monotonic() + seconds
    places = {"TMPDIR": str(out / "tmp"), "XDG_CACHE_HOME": str(out / "cache"), "DIPTYCH_KEYS": str(out / "keys")}
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    for _ in range(MAX_STARTS):
        left = int(end - time.monotonic())
        if left < 1:
            break
        program = [sys.executable, str(HERE / "process.py"), name, str(out), str(left)]
        ended = subprocess.run(program, env=environment, capture_output=True, text=True, errors="replace")
        log += ended.stderr
        (out / "log.txt").write_text(log)
        record = json.loads((out / "record.json").read_text()) if (out / "record.json").exists() else {}
        (out / "record.json").unlink(missing_ok=True)
        result.executions += record.get("executions", 0)
        result.slowest = max(result.slowest, record.get("slowest", 0.0))
        result.peak_bytes = max(result.peak_bytes, record.get("peak_bytes", 0))
        if ended.returncode and not record and not list(out.glob("libfuzzer-*")):
            raise SystemExit(f"The reader {name} cannot be fuzzed:\n{ended.stderr[-2000:]}")
    lines = [tuple(map(int, numbers)) for numbers in COVERAGE.findall(log)]
    if lines:
        (result.coverage, result.features) = zip(lines[0], max(lines), strict=True)
    result.findings = keep(name, out)
    return result


def keep(name: str, out: Path) -> tuple[str, ...]:
    """Copy what was found to the findings of the project; returns the names."""
    found = [*(out / "findings").glob("*"), *out.glob("libfuzzer-*")]
    for path in found:
        (FINDINGS / name).mkdir(parents=True, exist_ok=True)
        kept = FINDINGS / name / path.name
        if (
            kept.exists() and kept.read_bytes() != path.read_bytes()
        ):  # one that was mended, and is there by another input
            kept = kept.with_name(f"{path.name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:6]}")
        shutil.copy(path, kept)
        text = out / f"{path.name}.txt"
        print(f"{name}: {path.name}\n{text.read_text() if text.exists() else ''}", file=sys.stderr)
    return tuple(sorted(path.name for path in found))


def main() -> int:
    """Fuzz the readers that are named, or all."""
    sys.path[:0] = [str(HERE), str(ROOT / "benchmarks")]
    import common
    from targets import TARGETS

    parser = common.arguments(__doc__, "fuzzing")
    parser.set_defaults(out=None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; without one, all")
    parser.add_argument("--minutes", type=float, default=5.0, help="in all (default: 5)")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"{unknown[0]} is no reader: {', '.join(TARGETS)}")
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=shared if shared.is_dir() else None) as ram:
        results: dict[str, Result] = {}
        for name in names:
            results[name] = fuzz(name, 60 * options.minutes / len(names), Path(ram))
            print(name, *results[name].cells(), sep="\t", flush=True)
    lines = common.table(COLUMNS, [[name, *result.cells()] for name, result in results.items()])
    print("\n".join(["", *lines]))
    if options.out is not None:
        publish(common, options, results, lines)
    return int(any(result.findings for result in results.values()))


def publish(common: Any, options: Any, results: dict[str, Result], lines: list[str]) -> None:
    """Write the page of results."""
    import measure

    total = sum(result.executions for result in results.values())
    about = (
        f"{total:,} executions over {len(results)} readers, guided by coverage (atheris), from small real files. A "
        "finding is an error without an exit code of its own, more than 2 s of the processor, or more than 1 GB. "
        "Coverage is libFuzzer's: branches of our readers, and features, which also count how often each is taken."
    )
    runs = {name: vars(result) for name, result in results.items()}
    command = f"python tests/fuzz/run.py --minutes {options.minutes:g}"
    common.publish(
        options.out,
        "Fuzzing the readers",
        about,
        lines,
        command,
        machine=measure.hardware("atheris", "numpy", "pillow", "pyarrow"),
        runs=runs,
    )


if __name__ == "__main__":
    sys.exit(main())
