"""CIFAR-10 from scratch on a GPU: seconds of training to the accuracy of the speed records, on the same card.

Two records, each run as it was published, outside of this project: airbench94 (with Muon) and airbench96. They are
commands that train on the files given and print a line of JSON for each run: {"hits", "n", "seconds"}, and for what
comes before the first one {"warmup"}. Diptych's runs are of one process, too, another seed each; the first one of a
process, with all that is compiled, is its cold start and no part of the means.

    python benchmarks/cifar10_recognition_gpu.py folder --airbench94 "python airbench94.py 10"
    python benchmarks/cifar10_recognition_gpu.py folder --airbench94 … --airbench96 … --runs 10

The lengths (--epochs) were chosen on validation pictures, which Diptych keeps back from the training file. Seconds of
training: from the first step to the last, the scores on the way included. Parts without a command run Diptych alone.
"""

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import measure
from common import Row

NETWORKS = {"94": "speednet", "96": "speednet-96"}
EPOCHS = {"94": 8.0, "96": 40.0}


def ours(network: str, epochs: float, runs: int, train: Path, test: Path) -> None:
    """Train and test in this process, once to warm up and then ``runs`` times; a line of JSON for each."""
    began = time.monotonic()
    from diptych import Images, Recognizer
    from diptych.engine import machine

    # A run of seconds is not worth compiling for; ten of them are.
    machine.WORTH_COMPILING_SECONDS["cuda"] = 0
    images, unseen = Images.open(train), Images.open(test)
    for seed in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            model = Recognizer(network, epochs=epochs, seed=seed).fit(images, into=Path(folder) / "model")
            whole = time.monotonic() - start
            if seed == 0:
                print(json.dumps({"warmup": time.monotonic() - began}), flush=True)
                continue
            told = model.evaluate(unseen).scores["accuracy"]
            seconds = common.training_seconds(Path(folder) / "model")
        hits = round(told.value * told.n)
        print(json.dumps({"hits": hits, "n": told.n, "seconds": seconds, "whole": whole}), flush=True)


def measured(command: str, program: str, part: str) -> Row:
    """The lines that a command prints, as one row."""
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    told = [line for line in told if line.keys() & {"warmup", "hits"}]
    warm = next((line["warmup"] for line in told if "warmup" in line), None)
    runs = [line for line in told if "hits" in line and "warmup" not in line]
    print(f"{program}: {len(runs)} runs", file=sys.stderr)
    return {"part": part, "program": program, "warmup": warm, "runs": runs}


def table(rows: list[Row]) -> list[str]:
    """The means, as a Markdown table."""
    columns = ["part", "program", "runs", "mean test accuracy", "± (standard error)", "mean s of training", "± (s. e.)"]
    columns += ["cold start s"]
    lines = []
    for row in rows:
        hits = [run["hits"] / run["n"] for run in row["runs"]]
        seconds = [run["seconds"] for run in row["runs"]]
        cells = [f"{statistics.mean(hits):.2%}", f"{_error(hits):.2%}", f"{statistics.mean(seconds):.2f}"]
        warm = "" if row["warmup"] is None else f"{row['warmup']:.0f}"
        lines.append([row["part"], row["program"], str(len(hits)), *cells, f"{_error(seconds):.2f}", warm])
    return common.table(columns, lines)


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def main() -> None:
    parser = common.arguments(__doc__, "cifar10_recognition_gpu")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--only", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="the parts to run")
    parser.add_argument("--runs", type=int, default=10, help="of Diptych, after the first")
    parser.add_argument("--epochs", type=float, nargs=2, default=list(EPOCHS.values()), help="of either part")
    for part in NETWORKS:
        parser.add_argument(f"--airbench{part}", help="a command to be timed beside the part")
    parser.add_argument("--ours", nargs=2, metavar=("NETWORK", "EPOCHS"), help="print Diptych's runs, and no more")
    asked = parser.parse_args()
    train, test = common.cifar10(asked.data)
    if asked.ours:
        network, epochs = asked.ours
        ours(network, float(epochs), asked.runs, train, test)
        return
    rows = []
    for (part, network), epochs in zip(NETWORKS.items(), asked.epochs, strict=True):
        if part in asked.only:
            again = [sys.executable, __file__, str(train), str(test), "--runs", str(asked.runs), "--ours", network]
            rows.append(measured(shlex.join([*again, f"{epochs:g}"]), f"Diptych {network}, {epochs:g} epochs", part))
            command = getattr(asked, f"airbench{part}")
            if command:
                rows.append(measured(command, f"airbench{part}", part))
    import torch

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    shown = ["--only", *asked.only, "--runs", str(asked.runs), "--epochs", *(f"{e:g}" for e in asked.epochs)]
    common.publish(
        asked.out,
        "CIFAR-10 from scratch on a GPU",
        "The same files for all (JPEG copies: accuracies lie lower than those published).",
        table(rows),
        shlex.join(["python", "benchmarks/cifar10_recognition_gpu.py", *common.names(asked.data), *shown]),
        machine={"GPU": card, **measure.hardware("torch", "numpy")},
        runs=rows,
    )


if __name__ == "__main__":
    main()
