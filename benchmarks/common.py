"""Shared by the benchmarks: Diptych run through the command line, tables, and the page of results.

The peers' programs import nothing of this: they are timed as they are.
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
    """The argument parser of a benchmark whose results have this name."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "-o", "--out", type=Path, default=RESULTS / name, help="results are written to OUT.md and OUT.json"
    )
    return parser


def diptych(train: Path, test: Path, folder: Path, options: Sequence[str]) -> Row:
    """Train and test through the command line, as a user does; the model stays in ``folder``/model."""
    program = [sys.executable, "-m", "diptych"]
    environment = {"XDG_CACHE_HOME": str(folder / "cache")}  # the machine's trial is part of the time
    model = folder / "model"
    fit = measure.run([*program, "fit", "recognizer", str(train), *options, "-o", str(model), "--json"], environment)
    tested = json.loads(measure.run([*program, "evaluate", str(model), str(test), "--json"], environment).stdout)
    trained, accuracy = json.loads(fit.stdout), tested["accuracy"]
    hits = round(accuracy["value"] * accuracy["n"])
    cost = outcome(fit, training_seconds(model), hits, accuracy["n"])
    return {"validation": trained["scores"]["accuracy"]["value"], **cost}


def outcome(fit: measure.Measured, training: float | None, hits: int, n: int) -> Row:
    """The outcome of a program's run: hits on n test pictures, total seconds and those of training, peak memory."""
    return {
        "hits": hits,
        "n": n,
        "seconds": fit.seconds,
        "training_seconds": training,
        "peak_megabytes": fit.peak_bytes / measure.MEGABYTE,
    }


def training_seconds(model: Path) -> float | None:
    """Seconds of training and validation alone: between the first and last record of the history, scaled to the run.

    ``None`` where there is only one record, as of a head on frozen features.
    """
    lines = (model / "history.jsonl").read_text(encoding="utf-8").splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    if len(lines) == 1:
        return None
    return (last["seconds"] - first["seconds"]) / (last["progress"] - first["progress"])


def parameters(model: Path) -> int:
    """Numbers in the weights file, counted from its header."""
    with (model / "weights.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def cifar10(paths: list[Path]) -> tuple[Path, Path]:
    """The training and the test file, from a folder that holds both or as two paths."""
    if len(paths) == 1:
        return paths[0] / "cifar10-train.parquet", paths[0] / "cifar10-test.parquet"
    train, test = paths
    return train, test


def names(paths: Iterable[Path]) -> list[str]:
    """File names for the published command, without the machine's paths."""
    return [path.name for path in paths]


def accuracy_cells(row: Row) -> list[str]:
    """Test accuracy, its 95 % interval, and n."""
    from diptych.metrics.intervals import wilson_interval  # it imports torch, so not before every run is measured

    low, high = wilson_interval(row["hits"], row["n"])
    return [f"{row['hits'] / row['n']:.2%}", f"{low:.2%} to {high:.2%}", str(row["n"])]


def cost_cells(row: Row) -> list[str]:
    """Total seconds, seconds of training alone, and peak memory."""
    training = row["training_seconds"]
    training_cell = "" if training is None else f"{training:.1f}"
    return [f"{row['seconds']:.1f}", training_cell, f"{row['peak_megabytes']:.0f}"]


ACCURACY = ("test accuracy", "95 % interval", "n")
COST = ("total seconds", "of which training", "peak MB")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(map(str, cells))} |" for cells in (columns, ["---"] * len(columns), *rows)]


def publish(out: Path, title: str, about: str, lines: Sequence[str], command: str, **results: Any) -> None:
    """Write the page (.md) and its data (.json), and print the page.

    ``results`` has "machine", listed at the end of the page, "runs", and a benchmark's other results.
    """
    machine = [f"- {name}: {value}" for name, value in results["machine"].items()]
    text = "\n".join([f"# {title}", "", f"    {command}", "", about, "", *lines, "", *machine, ""])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
    out.with_suffix(".json").write_text(json.dumps({"command": command, **results}, indent=1) + "\n", encoding="utf-8")
    print(text)
