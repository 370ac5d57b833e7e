"""What the benchmarks share: Diptych's side through the command line, tables, and the page of results.

The peers' own programs import nothing of this: they are timed as they stand.
"""

import argparse
import json
import math
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import measure

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def arguments(about: str | None, name: str) -> argparse.ArgumentParser:
    """The parser of a benchmark whose results go by this name."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=RESULTS / name, help="written with .md and .json after it")
    return parser


def diptych(train: Path, test: Path, folder: Path, dials: Sequence[str]) -> Row:
    """Train and test through the command line, as a person does; the model stays in ``folder``/model."""
    program = [sys.executable, "-m", "diptych"]
    environment = {"XDG_CACHE_HOME": str(folder / "cache")}  # the machine's trial is part of the time
    model = folder / "model"
    fit = measure.run([*program, "fit", "recognizer", str(train), *dials, "-o", str(model), "--json"], environment)
    tested = json.loads(measure.run([*program, "evaluate", str(model), str(test), "--json"], environment).stdout)
    told, accuracy = json.loads(fit.stdout), tested["accuracy"]
    hits = round(accuracy["value"] * accuracy["n"])
    found = outcome(fit, training_seconds(model), hits, accuracy["n"])
    return {"validation": told["scores"]["accuracy"]["value"], **found}


def outcome(fit: measure.Measured, training: float | None, hits: int, n: int) -> Row:
    """What every side tells of its run: hits on n test pictures, seconds in all and of training alone, memory."""
    return {
        "hits": hits,
        "n": n,
        "seconds": fit.seconds,
        "training_seconds": training,
        "peak_megabytes": fit.peak_bytes / measure.MEGABYTE,
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


def cifar10(paths: list[Path]) -> tuple[Path, Path]:
    """The training and the test file, from a folder or as given."""
    if len(paths) == 1:
        return paths[0] / "cifar10-train.parquet", paths[0] / "cifar10-test.parquet"
    train, test = paths
    return train, test


def names(paths: Iterable[Path]) -> list[str]:
    """Names for the command that is shown: where the data lies is nobody's business."""
    return [path.name for path in paths]


def accuracy_cells(row: Row) -> list[str]:
    """Test accuracy, its 95 % interval, and n."""
    from diptych.metrics.intervals import wilson  # torch comes with it: not before every run has been measured

    low, high = wilson(row["hits"], row["n"])
    return [f"{row['hits'] / row['n']:.2%}", f"{low:.2%} to {high:.2%}", str(row["n"])]


def cost_cells(row: Row) -> list[str]:
    """Seconds in all, of training alone, and the peak of memory."""
    training = row["training_seconds"]
    told = "" if training is None else f"{training:.1f}"
    return [f"{row['seconds']:.1f}", told, f"{row['peak_megabytes']:.0f}"]


ACCURACY = ("test accuracy", "95 % interval", "n")
COST = ("seconds in all", "of which training", "peak MB")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(map(str, cells))} |" for cells in (columns, ["---"] * len(columns), *rows)]


def publish(out: Path, title: str, about: str, told: Sequence[str], command: str, **kept: Any) -> None:
    """Write the page (.md) and what it is made of (.json), and print the page.

    ``kept`` holds "machine", the lines under the page, and "runs", and whatever else a benchmark found.
    """
    machine = [f"- {name}: {value}" for name, value in kept["machine"].items()]
    text = "\n".join([f"# {title}", "", f"    {command}", "", about, "", *told, "", *machine, ""])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
    out.with_suffix(".json").write_text(json.dumps({"command": command, **kept}, indent=1) + "\n", encoding="utf-8")
    print(text)
