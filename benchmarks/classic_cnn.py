"""The classic tutorial network on CIFAR-10, in Keras and in Diptych: accuracy, seconds and memory of both in one run.

Same network (122,570 parameters), same Parquet files, same machine, each in a fresh process with an empty cache
folder, one after the other. Diptych is run twice: for the same epochs, and for half of them, after which it is no
less accurate than Keras. Keras trains on the whole training file; Diptych keeps a part of it back to validate on. Each
run's test accuracy is read once, from the saved model, in another process.

    make bench DATA=folder        # holds cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/classic_cnn.py folder --pairs 3
"""

import json
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import common
import measure
from common import Row

HERE = Path(__file__).parent
PARAMETERS = 122_570


def keras_side(train: Path, test: Path, folder: Path, epochs: int, seed: int) -> Row:
    """Train and test the Keras program."""
    program = [sys.executable, str(HERE / "keras_cnn.py")]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    saved = str(folder / "model.keras")
    dials = ["--epochs", str(epochs), "--seed", str(seed)]
    fit = measure.run([*program, "fit", str(train), saved, *dials], environment)
    told = json.loads(fit.stdout)
    tested = json.loads(measure.run([*program, "evaluate", str(test), saved], environment).stdout)
    found = common.outcome(fit, told["training_seconds"], tested["hits"], tested["n"])
    return _row("Keras", epochs, seed, found, told["parameters"])


def diptych_side(train: Path, test: Path, folder: Path, epochs: int, seed: int) -> Row:
    """Train and test the same network in Diptych."""
    dials = ["--network", "convnet", "--epochs", str(epochs), "--seed", str(seed)]
    found = common.diptych(train, test, folder, dials)
    return _row("Diptych", epochs, seed, found, common.parameters(folder / "model"))


def _row(side: str, epochs: int, seed: int, found: Row, parameters: int) -> Row:
    accuracy = found["hits"] / found["n"]
    return {"side": side, "epochs": epochs, "seed": seed, "accuracy": accuracy, **found, "parameters": parameters}


def measured(train: Path, test: Path, epochs: int, pairs: int) -> list[Row]:
    """One row a run; the side that begins changes from pair to pair, so that a drift of the machine evens out."""
    rows = []
    for seed in range(pairs):
        sides = [(keras_side, epochs), (diptych_side, epochs), (diptych_side, max(1, epochs // 2))]
        for side, length in sides if seed % 2 == 0 else reversed(sides):
            with tempfile.TemporaryDirectory(prefix="classic-cnn-") as folder:
                row = side(train, test, Path(folder), length, seed)
            print(f"{row['side']}, {length}: {row['accuracy']:.2%} in {row['seconds']:.1f} s", file=sys.stderr)
            rows.append(row)
    return rows


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    lines = []
    for row in rows:
        run = [row["side"], row["epochs"], row["seed"]]
        lines.append([*run, *common.accuracy_cells(row), *common.cost_cells(row), f"{row['parameters']:,}"])
    return common.table(["program", "epochs", "seed", *common.ACCURACY, *common.COST, "parameters"], lines)


def verdict(rows: list[Row]) -> str:
    """How Diptych compares, for each number of epochs, in a sentence."""
    keras = [row for row in rows if row["side"] == "Keras"]
    told = []
    for epochs in sorted({row["epochs"] for row in rows}, reverse=True):
        ours = [row for row in rows if row["side"] == "Diptych" and row["epochs"] == epochs]
        share = fmean(r["seconds"] for r in ours) / fmean(r["seconds"] for r in keras)
        gain = fmean(r["accuracy"] for r in ours) - fmean(r["accuracy"] for r in keras)
        told.append(f"in {epochs} epochs {share:.0%} of the time, {100 * gain:+.2f} points of accuracy")
    alike = {row["parameters"] for row in rows} == {PARAMETERS}
    counts = f"Both networks have {PARAMETERS:,} parameters." if alike else "The networks differ in size!"
    return f"Diptych takes {'; '.join(told)}. {counts}"


def about(epochs: int) -> str:
    """What was done."""
    return (
        f"CIFAR-10 from the same Parquet files, {epochs} epochs of Keras, each run in a fresh process. Seconds in all: "
        "from the start of the process to its end with the model saved. Peak: resident memory of the process and its "
        "children. Keras trains on the whole training file; Diptych keeps a part of it back to validate on."
    )


def main() -> None:
    parser = common.arguments(__doc__, "classic_cnn")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=1, help="how often both sides are run, with seeds 0, 1, …")
    asked = parser.parse_args()
    rows = measured(*common.cifar10(asked.data), asked.epochs, asked.pairs)
    dials = ["--epochs", str(asked.epochs), "--pairs", str(asked.pairs)]
    common.publish(
        asked.out,
        "The classic CNN in Keras and in Diptych",
        about(asked.epochs),
        [*table(rows), "", verdict(rows)],
        shlex.join(["python", "benchmarks/classic_cnn.py", *common.names(asked.data), *dials]),
        machine=measure.hardware("torch", "tensorflow-cpu", "keras", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
