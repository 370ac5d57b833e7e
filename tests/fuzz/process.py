"""One reader under the fuzzer, in a process of its own: ``python tests/fuzz/process.py TARGET FOLDER SECONDS``.

Findings are written into FOLDER/findings as they are met, and do not end the run; a crash, a hang or memory without
bounds end the process, and libFuzzer leaves the input there.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import atheris

TIMEOUT_SECONDS = (
    30  # of the clock, after which an input counts as a hang; findings of 2 s are measured on the processor
)
RSS_LIMIT_MB = 1500  # above what is a finding, so that its input is written down by us
OWN_CHANGES = 0.6  # of inputs are changed by the target's own mutation
RECORD_EVERY = 100  # executions

with atheris.instrument_imports(include=["diptych", "zipfile", "tarfile"]):
    import watching
    from targets import TARGETS


class Watcher:
    """Reads what the fuzzer makes, and keeps what is found."""

    def __init__(self, name: str, out: Path) -> None:
        self._target, self._out = TARGETS[name], out
        self._folder = Path(tempfile.mkdtemp(prefix="room-"))
        self._target.prepare(self._folder)
        self.executions, self._slowest, self._names = 0, 0.0, set[str]()

    def warm_up(self, data: bytes) -> None:
        """Read an input without a look at the time, which is that of the imports."""
        watching.try_input(self._target, self._folder, data)

    def __call__(self, data: bytes) -> None:
        """Read one input."""
        outcome = watching.try_input(self._target, self._folder, data)
        self.executions += 1
        if outcome.seconds > self._slowest:
            self._slowest = outcome.seconds
            (self._out / "slowest").write_bytes(data)
        if outcome.finding and outcome.finding not in self._names:
            self._keep(outcome, data)
        if self.executions % RECORD_EVERY == 0 or outcome.finding:
            self.record()

    def _keep(self, outcome: watching.Outcome, data: bytes) -> None:
        self._names.add(outcome.finding)
        if outcome.finding not in ("Slow", "Memory"):
            data = watching.minimised(
                data, lambda part: watching.try_input(self._target, self._folder, part).finding == outcome.finding
            )
        (self._out / "findings").mkdir(exist_ok=True)
        (self._out / "findings" / outcome.finding).write_bytes(data)
        (self._out / f"{outcome.finding}.txt").write_text(outcome.text, encoding="utf-8", errors="backslashreplace")

    def record(self) -> None:
        """Write down how far it is."""
        facts = {"executions": self.executions, "slowest": self._slowest, "peak_bytes": watching.peak_bytes()}
        draft = self._out / "record.draft"
        draft.write_text(json.dumps(facts))
        draft.replace(self._out / "record.json")

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Change an input in the target's own way, or as libFuzzer does."""
        rng = random.Random(seed)
        plain = lambda content: atheris.Mutate(content, max(max_size, len(content)))  # noqa: E731
        own = self._target.mutate
        changed = own(data, rng, plain) if own and data and rng.random() < OWN_CHANGES else plain(data)
        return changed[:max_size]


def main(name: str, out: Path, seconds: int) -> None:
    """Fuzz one target for so many seconds."""
    watching.be_quiet()
    target = TARGETS[name]
    watcher = Watcher(name, out)
    corpus = out / "corpus"
    if not corpus.exists():
        corpus.mkdir(parents=True)
        for i, seed in enumerate(target.seeds()):
            (corpus / f"seed-{i}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": target.max_bytes,
        "timeout": TIMEOUT_SECONDS,
        "report_slow_units": TIMEOUT_SECONDS,
        "rss_limit_mb": RSS_LIMIT_MB,
        "artifact_prefix": f"{out}/libfuzzer-",
        "print_final_stats": 1,
        "seed": 1,
    }
    arguments = [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)]
    with atheris.instrument_imports(include=["diptych"]):
        for seed in target.seeds():  # here what a reader imports only when it reads is imported, and instrumented
            watcher.warm_up(seed)
        mutator = {"custom_mutator": watcher.mutate} if target.mutate else {}
        atheris.Setup(arguments, watcher, **mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
