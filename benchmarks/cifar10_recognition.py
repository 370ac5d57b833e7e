"""CIFAR-10 from scratch on a processor: how soon which accuracy is reached, beside the peers in the same run.

Four parts, each in fresh processes with an empty cache folder, one after the other:

quick   the classic Keras CNN's accuracy after 10 epochs, in Keras and in Diptych;
86      86 % within 4 minutes;
90.5    90.5 %, beside another program's time to its accuracy, where one is named by --peer;
92      92 % within 40 minutes.

Seconds are those of the whole process, from its start to the saved model, compilation and all else included. The
lengths were chosen on validation pictures, which Diptych keeps back from the training file. Each test accuracy is
read once, from the saved model, in another process.

    python benchmarks/cifar10_recognition.py folder       # cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/cifar10_recognition.py folder --only quick 86
    python benchmarks/cifar10_recognition.py folder --only 90.5 --peer "python peer.py"

The peer's command is given the two files' paths; it prints one line of JSON with "hits" and "n" on the test file and,
if it knows them, the "training_seconds". Parts that are not run keep their rows from the run before.
"""

import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import common
import measure
from classic_cnn import keras_side
from common import Row

KERAS_EPOCHS = 10


@dataclass(frozen=True)
class Part:
    """What Diptych is asked for, and what it is to show."""

    dials: tuple[str, ...]
    aim: str


PARTS = {
    "quick": Part(("--network", "speednet-s", "--epochs", "0.38"), "Keras' accuracy in an eighth of its time"),
    "86": Part(("--minutes", "3.8"), "86 % within 4 minutes"),
    "90.5": Part(("--network", "speednet", "--epochs", "11"), "90.5 % in less than the peer's time"),
    "92": Part(("--minutes", "40"), "92 % within 40 minutes"),
}


def diptych_row(name: str, train: Path, test: Path, folder: Path, share: float) -> Row:
    """A part, in Diptych."""
    dials = shared(PARTS[name].dials, share)
    return {"part": name, "program": f"Diptych {' '.join(dials)}", **common.diptych(train, test, folder, dials)}


def shared(dials: Sequence[str], share: float) -> list[str]:
    """The dials with their length, the last of them, cut to a share."""
    *names, length = dials
    return [*names, f"{float(length) * share:g}"]


def keras_row(train: Path, test: Path, folder: Path, share: float) -> Row:
    """The classic CNN in Keras."""
    epochs = max(1, round(KERAS_EPOCHS * share))
    row = keras_side(train, test, folder, epochs, seed=0)
    kept = {key: row[key] for key in ("hits", "n", "seconds", "training_seconds", "peak_megabytes")}
    return {"part": "quick", "program": f"Keras, {epochs} epochs", "validation": None, **kept}


def peer_row(command: str, train: Path, test: Path) -> Row:
    """Another program, as it is."""
    done = measure.run([*shlex.split(command), str(train), str(test)], {})
    told = json.loads(done.stdout.splitlines()[-1])
    found = common.outcome(done, told.get("training_seconds"), told["hits"], told["n"])
    return {"part": "90.5", "program": "peer", "validation": None, **found}


def runs(names: Sequence[str], train: Path, test: Path, peer: str | None, share: float) -> list[Callable[[Path], Row]]:
    """What is to be run, in this order; each in a folder of its own."""
    wanted: list[Callable[[Path], Row]] = []
    for name in names:
        if name == "quick":
            wanted.append(lambda folder: keras_row(train, test, folder, share))
        if name == "90.5" and peer:
            wanted.append(lambda folder: peer_row(peer, train, test))
        wanted.append(lambda folder, name=name: diptych_row(name, train, test, folder, share))  # type: ignore[misc]
    return wanted


def measured(wanted: Sequence[Callable[[Path], Row]]) -> list[Row]:
    """The rows of some runs, told as they come."""
    rows = []
    for run in wanted:
        with tempfile.TemporaryDirectory(prefix="cifar10-") as folder:
            row = run(Path(folder))
        print(f"{row['program']}: {row['hits'] / row['n']:.2%} in {row['seconds']:.1f} s", file=sys.stderr)
        rows.append({**row, "processor": measure.hardware()["processor"]})  # parts may be run on different ones
    return rows


def together(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Rows of this run, and those of parts that it left out, in the order of the parts."""
    fresh = {row["part"] for row in new}
    every = [*(row for row in old if row["part"] not in fresh), *new]
    return sorted(every, key=lambda row: list(PARTS).index(row["part"]))


def table(rows: Sequence[Row]) -> list[str]:
    """The runs as a Markdown table."""
    columns = ["part", "program", "validation accuracy", *common.ACCURACY, *common.COST, "processor"]
    lines = []
    for row in rows:
        validation = "" if row["validation"] is None else f"{row['validation']:.2%}"
        found = [*common.accuracy_cells(row), *common.cost_cells(row)]
        lines.append([row["part"], row["program"], validation, *found, row["processor"]])
    return common.table(columns, lines)


def verdicts(rows: Sequence[Row]) -> list[str]:
    """A sentence for each part, of what was aimed at and what came."""
    told = []
    for name, part in PARTS.items():
        here = [row for row in rows if row["part"] == name]
        ours = [row for row in here if row["program"].startswith("Diptych")]
        if ours:
            row = ours[-1]
            came = f"{row['hits'] / row['n']:.2%} after {row['seconds']:.0f} s"
            told.append(f"- {name}: {part.aim}. It came to {came}{_beside(row, here)}.")
    return told


def _beside(ours: Row, rows: Sequence[Row]) -> str:
    """How that compares with the other program of the part."""
    told = ""
    for row in rows:
        if row is not ours:
            other = f"{row['program']} to {row['hits'] / row['n']:.2%} after {row['seconds']:.0f} s"
            told += f"; {other}, so that Diptych takes 1/{row['seconds'] / ours['seconds']:.2f} of the time"
            if row["training_seconds"]:
                told += f" (of training alone 1/{row['training_seconds'] / ours['training_seconds']:.2f})"
    return told


ABOUT = (
    "CIFAR-10 from the same Parquet files (JPEG copies: accuracies lie lower than those published), each run in a "
    "fresh process with an empty cache. Seconds in all: from the start of the process to its end with the model "
    "saved. The peers train on the whole training file; Diptych keeps some of its pictures back to validate on, "
    "and the lengths were chosen there."
)


def main() -> None:
    parser = common.arguments(__doc__, "cifar10_recognition")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="the parts to run")
    parser.add_argument("--peer", help="a command to be timed beside the part 90.5")
    parser.add_argument("--share", type=float, default=1.0, help="of every length, for a rehearsal")
    asked = parser.parse_args()
    train, test = common.cifar10(asked.data)
    stored = asked.out.with_suffix(".json")
    old = json.loads(stored.read_text(encoding="utf-8"))["runs"] if stored.exists() else []
    new = measured(runs([name for name in PARTS if name in asked.only], train, test, asked.peer, asked.share))
    rows = together(old, new)
    more = ["--only", *asked.only] if len(asked.only) < len(PARTS) else []
    more += ["--peer", "PEER"] if asked.peer else []
    more += ["--share", f"{asked.share:g}"] if asked.share != 1 else []
    common.publish(
        asked.out,
        "CIFAR-10 from scratch on a processor",
        ABOUT,
        [*table(rows), "", *verdicts(rows)],
        shlex.join(["python", "benchmarks/cifar10_recognition.py", *common.names(asked.data), *more]),
        machine=measure.hardware("torch", "tensorflow-cpu", "keras", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
