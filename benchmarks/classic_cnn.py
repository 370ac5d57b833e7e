"""The classic tutorial network on CIFAR-10, in Keras and in Diptych: accuracy, seconds and memory of both in one run.

Same network (122,570 parameters), same Parquet files, same machine, each in a fresh process with an empty cache
folder, one after the other. Diptych is run twice: for the same epochs, and for half of them, after which it is no
less accurate than Keras. Keras trains on the whole training file; Diptych keeps a part of it back to validate on. Each
run's test accuracy is read once, from the saved model, in another process.

    make bench DATA=folder        # holds cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/classic_cnn.py folder --pairs 3
"""

import argparse
import json
import math
import shlex
import struct
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

import measure

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "classic_cnn"
PARAMETERS = 122_570
Row = dict[str, Any]


def keras_side(train: Path, test: Path, folder: Path, epochs: int, seed: int) -> Row:
    """Train and test the Keras program."""
    program = [sys.executable, str(HERE / "keras_cnn.py")]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    saved = str(folder / "model.keras")
    dials = ["--epochs", str(epochs), "--seed", str(seed)]
    fit = measure.run([*program, "fit", str(train), saved, *dials], environment)
    told = json.loads(fit.stdout)
    tested = json.loads(measure.run([*program, "evaluate", str(test), saved], environment).stdout)
    return _row("Keras", epochs, seed, fit, told["training_seconds"], told["parameters"], tested["hits"], tested["n"])


def diptych_side(train: Path, test: Path, folder: Path, epochs: int, seed: int) -> Row:
    """Train and test through the command line, as a person does."""
    program = [sys.executable, "-m", "diptych"]
    environment = {"XDG_CACHE_HOME": str(folder / "cache")}  # the machine's trial is part of the time
    model = folder / "model"
    dials = ["--network", "convnet", "--epochs", str(epochs), "--seed", str(seed)]
    fit = measure.run([*program, "fit", "recognizer", str(train), *dials, "-o", str(model), "--json"], environment)
    tested = json.loads(measure.run([*program, "evaluate", str(model), str(test), "--json"], environment).stdout)
    accuracy = tested["accuracy"]
    hits = round(accuracy["value"] * accuracy["n"])
    return _row("Diptych", epochs, seed, fit, training_seconds(model), parameters(model), hits, accuracy["n"])


def _row(
    side: str, epochs: int, seed: int, fit: measure.Measured, training: float, parameters: int, hits: int, n: int
) -> Row:
    return {
        "side": side,
        "epochs": epochs,
        "seed": seed,
        "accuracy": hits / n,
        "hits": hits,
        "n": n,
        "seconds": fit.seconds,
        "training_seconds": training,
        "peak_megabytes": fit.peak_bytes / measure.MEGABYTE,
        "parameters": parameters,
    }


def training_seconds(model: Path) -> float:
    """Seconds of steps (and validation) alone: from the first record of the history to the last, scaled to the run."""
    lines = (model / "history.jsonl").read_text(encoding="utf-8").splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    return (last["seconds"] - first["seconds"]) / (last["progress"] - first["progress"])


def parameters(model: Path) -> int:
    """Numbers in the weights file, counted from its header."""
    with (model / "weights.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


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
    from diptych.metrics.intervals import wilson  # torch comes with it: not before every run has been measured

    columns = ["program", "epochs", "seed", "test accuracy", "95 % interval", "n"]
    columns += ["seconds in all", "of which training", "peak MB", "parameters"]
    lines = [columns, ["---"] * len(columns)]
    for row in rows:
        low, high = wilson(row["hits"], row["n"])
        cells = [
            row["side"],
            row["epochs"],
            row["seed"],
            f"{row['accuracy']:.2%}",
            f"{low:.2%} to {high:.2%}",
            row["n"],
        ]
        cells += [f"{row[name]:.1f}" for name in ("seconds", "training_seconds")]
        lines.append([*cells, f"{row['peak_megabytes']:.0f}", f"{row['parameters']:,}"])
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines]


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


def page(rows: list[Row], machine: dict[str, str], command: str, epochs: int) -> str:
    """The results as a Markdown page."""
    told = [f"- {name}: {value}" for name, value in machine.items()]
    about = (
        f"CIFAR-10 from the same Parquet files, {epochs} epochs of Keras, each run in a fresh process. Seconds in all: "
        "from the start of the process to its end with the model saved. Peak: resident memory of the process and its "
        "children. Keras trains on the whole training file; Diptych keeps a part of it back to validate on."
    )
    head = ["# The classic CNN in Keras and in Diptych", "", f"    {command}", "", about, ""]
    return "\n".join([*head, *table(rows), "", verdict(rows), "", *told, ""])


def files(paths: list[Path]) -> tuple[Path, Path]:
    """The training and the test file, from a folder or as given."""
    if len(paths) == 1:
        return paths[0] / "cifar10-train.parquet", paths[0] / "cifar10-test.parquet"
    train, test = paths
    return train, test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=1, help="how often both sides are run, with seeds 0, 1, …")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS, help="written with .md and .json after it")
    asked = parser.parse_args()
    train, test = files(asked.data)
    rows = measured(train, test, asked.epochs, asked.pairs)
    machine = measure.hardware("torch", "tensorflow-cpu", "keras", "numpy")
    names = [path.name for path in asked.data]  # where the data lies is nobody's business
    command = shlex.join(["python", "benchmarks/classic_cnn.py", *names, "--epochs", str(asked.epochs)])
    command += f" --pairs {asked.pairs}"
    text = page(rows, machine, command, asked.epochs)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.with_suffix(".md").write_text(text, encoding="utf-8")
    kept = {"command": command, "machine": machine, "runs": rows}
    asked.out.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
