"""The classic tutorial network on CIFAR-10, in Keras and in Diptych: accuracy, seconds and memory, in one run.

Same network (122,570 parameters), same Parquet files, same machine, each in a fresh process with an empty cache
folder, one after the other. Diptych is run twice: for the same epochs, and for half of them, after which it is no
less accurate than Keras. Keras trains on the whole training file; Diptych holds a part of it out for validation. Each
run's test accuracy is measured once, from the saved model, in another process.

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
    options = ["--epochs", str(epochs), "--seed", str(seed)]
    fit = measure.run([*program, "fit", str(train), saved, *options], environment)
    trained = json.loads(fit.stdout)
    tested = json.loads(measure.run([*program, "evaluate", str(test), saved], environment).stdout)
    outcome = common.outcome(fit, trained["training_seconds"], tested["hits"], tested["n"])
    return _row("Keras", epochs, seed, outcome, trained["parameters"])


def diptych_side(train: Path, test: Path, folder: Path, epochs: int, seed: int) -> Row:
    """Train and test the same network in Diptych."""
    options = ["--network", "convnet", "--epochs", str(epochs), "--seed", str(seed)]
    outcome = common.diptych(train, test, folder, options)
    return _row("Diptych", epochs, seed, outcome, common.parameters(folder / "model"))


def _row(side: str, epochs: int, seed: int, outcome: Row, parameters: int) -> Row:
    accuracy = outcome["hits"] / outcome["n"]
    return {"side": side, "epochs": epochs, "seed": seed, "accuracy": accuracy, **outcome, "parameters": parameters}


def measure_pairs(train: Path, test: Path, epochs: int, pairs: int) -> list[Row]:
    """One row per run; the side that begins alternates, so that a drift of the machine evens out."""
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
    comparisons = []
    for epochs in sorted({row["epochs"] for row in rows}, reverse=True):
        ours = [row for row in rows if row["side"] == "Diptych" and row["epochs"] == epochs]
        share = fmean(r["seconds"] for r in ours) / fmean(r["seconds"] for r in keras)
        gain = fmean(r["accuracy"] for r in ours) - fmean(r["accuracy"] for r in keras)
        comparisons.append(f"in {epochs} epochs {share:.0%} of the time, {100 * gain:+.2f} points of accuracy")
    same_size = {row["parameters"] for row in rows} == {PARAMETERS}
    counts = f"Both networks have {PARAMETERS:,} parameters." if same_size else "The networks differ in size!"
    return f"Diptych takes {'; '.join(comparisons)}. {counts}"


def about(epochs: int) -> str:
    """How it was measured."""
    return (
        f"CIFAR-10 from the same Parquet files, {epochs} epochs of Keras, each run in a fresh process. Total seconds: "
        "from the start of the process to its end, with the model saved. Peak: resident memory of the process and its "
        "children. Keras trains on the whole training file; Diptych holds a part of it out for validation."
    )


def main() -> None:
    parser = common.arguments(__doc__, "classic_cnn")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=1, help="how often both programs are run, with seeds 0, 1, …")
    args = parser.parse_args()
    rows = measure_pairs(*common.cifar10(args.data), args.epochs, args.pairs)
    options = ["--epochs", str(args.epochs), "--pairs", str(args.pairs)]
    common.publish(
        args.out,
        "The classic CNN in Keras and in Diptych",
        about(args.epochs),
        [*table(rows), "", verdict(rows)],
        shlex.join(["python", "benchmarks/classic_cnn.py", *common.names(args.data), *options]),
        machine=measure.hardware("torch", "tensorflow-cpu", "keras", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
