"""CIFAR-10 from scratch on a CPU: accuracy against time, with the peers measured in the same run.

Four parts, each in fresh processes with an empty cache folder, one after the other:

quick   the classic Keras CNN's accuracy after 10 epochs, in Keras and in Diptych;
86      86 % within 4 minutes;
90.5    90.5 %, and another program's time to its accuracy, where --peer names one;
92      92 % within 40 minutes.

Seconds are those of the whole process, from its start to the saved model, compilation included. The lengths were
chosen on validation pictures, which Diptych holds out from the training file. Each test accuracy is measured once,
from the saved model, in another process.

    python benchmarks/cifar10_recognition.py folder       # cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/cifar10_recognition.py folder --only quick 86
    python benchmarks/cifar10_recognition.py folder --only 90.5 --peer "python peer.py"

The peer's command gets the two files' paths; it prints one line of JSON with "hits" and "n" on the test file and,
if it knows them, the "training_seconds". Parts that are not run keep their rows from the previous run.
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
    """Diptych's command-line options in a part, and the part's aim."""

    options: tuple[str, ...]
    aim: str


PARTS = {
    "quick": Part(("--network", "speednet-s", "--epochs", "0.38"), "Keras' accuracy in an eighth of its time"),
    "86": Part(("--minutes", "3.8"), "86 % within 4 minutes"),
    "90.5": Part(("--network", "speednet", "--epochs", "11"), "90.5 % in less than the peer's time"),
    "92": Part(("--minutes", "40"), "92 % within 40 minutes"),
}


def diptych_row(name: str, train: Path, test: Path, folder: Path, share: float) -> Row:
    """A part, in Diptych."""
    options = scale_length(PARTS[name].options, share)
    return {"part": name, "program": f"Diptych {' '.join(options)}", **common.diptych(train, test, folder, options)}


def scale_length(options: Sequence[str], share: float) -> list[str]:
    """The options with the run's length, the last of them, scaled by ``share``."""
    *names, length = options
    return [*names, f"{float(length) * share:g}"]


def keras_row(train: Path, test: Path, folder: Path, share: float) -> Row:
    """The classic CNN in Keras."""
    epochs = max(1, round(KERAS_EPOCHS * share))
    row = keras_side(train, test, folder, epochs, seed=0)
    outcome = {key: row[key] for key in ("hits", "n", "seconds", "training_seconds", "peak_megabytes")}
    return {"part": "quick", "program": f"Keras, {epochs} epochs", "validation": None, **outcome}


def peer_row(command: str, train: Path, test: Path) -> Row:
    """Another program, run as it is."""
    process = measure.run([*shlex.split(command), str(train), str(test)], {})
    result = json.loads(process.stdout.splitlines()[-1])
    outcome = common.outcome(process, result.get("training_seconds"), result["hits"], result["n"])
    return {"part": "90.5", "program": "peer", "validation": None, **outcome}


def planned_runs(
    names: Sequence[str], train: Path, test: Path, peer: str | None, share: float
) -> list[Callable[[Path], Row]]:
    """The runs of these parts, in order; each takes its own folder."""
    runs: list[Callable[[Path], Row]] = []
    for name in names:
        if name == "quick":
            runs.append(lambda folder: keras_row(train, test, folder, share))
        if name == "90.5" and peer:
            runs.append(lambda folder: peer_row(peer, train, test))
        runs.append(lambda folder, name=name: diptych_row(name, train, test, folder, share))  # type: ignore[misc]
    return runs


def measure_runs(runs: Sequence[Callable[[Path], Row]]) -> list[Row]:
    """The rows of the runs, each printed when it ends."""
    rows = []
    for run in runs:
        with tempfile.TemporaryDirectory(prefix="cifar10-") as folder:
            row = run(Path(folder))
        print(f"{row['program']}: {row['hits'] / row['n']:.2%} in {row['seconds']:.1f} s", file=sys.stderr)
        rows.append({**row, "processor": measure.hardware()["processor"]})  # parts may be run on different machines
    return rows


def merge_rows(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """The new rows, and the old rows of parts that were not run again, in the order of the parts."""
    parts = {row["part"] for row in new}
    rows = [*(row for row in old if row["part"] not in parts), *new]
    return sorted(rows, key=lambda row: list(PARTS).index(row["part"]))


def table(rows: Sequence[Row]) -> list[str]:
    """The runs as a Markdown table."""
    columns = ["part", "program", "validation accuracy", *common.ACCURACY, *common.COST, "processor"]
    lines = []
    for row in rows:
        validation = "" if row["validation"] is None else f"{row['validation']:.2%}"
        cells = [*common.accuracy_cells(row), *common.cost_cells(row)]
        lines.append([row["part"], row["program"], validation, *cells, row["processor"]])
    return common.table(columns, lines)


def verdicts(rows: Sequence[Row]) -> list[str]:
    """A sentence for each part: its aim and its result."""
    sentences = []
    for name, part in PARTS.items():
        of_part = [row for row in rows if row["part"] == name]
        ours = [row for row in of_part if row["program"].startswith("Diptych")]
        if ours:
            row = ours[-1]
            result = f"{row['hits'] / row['n']:.2%} after {row['seconds']:.0f} s"
            sentences.append(f"- {name}: {part.aim}. Reached: {result}{_compared_with_peer(row, of_part)}.")
    return sentences


def _compared_with_peer(ours: Row, rows: Sequence[Row]) -> str:
    """The comparison with the other program of the part; empty if there is none."""
    comparison = ""
    for row in rows:
        if row is not ours:
            other = f"{row['program']}: {row['hits'] / row['n']:.2%} after {row['seconds']:.0f} s"
            comparison += f"; {other}, so that Diptych takes 1/{row['seconds'] / ours['seconds']:.2f} of the time"
            if row["training_seconds"]:
                comparison += f" (of training alone 1/{row['training_seconds'] / ours['training_seconds']:.2f})"
    return comparison


ABOUT = (
    "CIFAR-10 from the same Parquet files (JPEG copies: accuracies lie lower than those published), each run in a "
    "fresh process with an empty cache. Total seconds: from the start of the process to its end, with the model "
    "saved. The peers train on the whole training file; Diptych holds some of its pictures out for validation, "
    "and the lengths were chosen there."
)


def main() -> None:
    parser = common.arguments(__doc__, "cifar10_recognition")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="the parts to run")
    parser.add_argument("--peer", help="a command to time in the part 90.5")
    parser.add_argument("--share", type=float, default=1.0, help="of every length, for a dry run")
    args = parser.parse_args()
    train, test = common.cifar10(args.data)
    stored = args.out.with_suffix(".json")
    old = json.loads(stored.read_text(encoding="utf-8"))["runs"] if stored.exists() else []
    new = measure_runs(planned_runs([name for name in PARTS if name in args.only], train, test, args.peer, args.share))
    rows = merge_rows(old, new)
    options = ["--only", *args.only] if len(args.only) < len(PARTS) else []
    options += ["--peer", "PEER"] if args.peer else []
    options += ["--share", f"{args.share:g}"] if args.share != 1 else []
    common.publish(
        args.out,
        "CIFAR-10 from scratch on a CPU",
        ABOUT,
        [*table(rows), "", *verdicts(rows)],
        shlex.join(["python", "benchmarks/cifar10_recognition.py", *common.names(args.data), *options]),
        machine=measure.hardware("torch", "tensorflow-cpu", "keras", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
