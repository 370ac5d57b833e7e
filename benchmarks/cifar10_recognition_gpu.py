"""CIFAR-10 from scratch on a GPU: seconds of training to the accuracy of the speed records, on the same GPU.

Two records, each run as published, outside of this project: airbench94 (with Muon) and airbench96. They are
commands that train on these files and print a line of JSON for each run: {"hits", "n", "seconds"}, and for what
comes before the first one {"warmup"}. Diptych's runs share one process, too, each with another seed; the first run
of a process, compilation included, is its cold start and not part of the means.

    python benchmarks/cifar10_recognition_gpu.py folder --airbench94 "python airbench94.py 10"
    python benchmarks/cifar10_recognition_gpu.py folder --airbench94 … --airbench96 … --runs 10

The lengths (--epochs) were chosen on validation pictures, which Diptych holds out from the training file. Seconds of
training: from the first step to the last, validation on the way included. Parts without a command run Diptych alone.
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


def run_diptych(network: str, epochs: float, runs: int, train: Path, test: Path) -> None:
    """Train and test in this process, once to warm up and then ``runs`` times; a line of JSON for each."""
    process_start = time.monotonic()
    from diptych import Images, Recognizer
    from diptych.engine import machine

    # One run of seconds is too short to compile for; ten of them are not.
    machine.COMPILE_MIN_RUN_SECONDS["cuda"] = 0
    train_images, test_images = Images.open(train), Images.open(test)
    for seed in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            model = Recognizer(network, epochs=epochs, seed=seed).fit(train_images, into=Path(folder) / "model")
            total_seconds = time.monotonic() - start
            if seed == 0:
                print(json.dumps({"warmup": time.monotonic() - process_start}), flush=True)
                continue
            accuracy = model.evaluate(test_images).scores["accuracy"]
            seconds = common.training_seconds(Path(folder) / "model")
        hits = round(accuracy.value * accuracy.n)
        row = {"hits": hits, "n": accuracy.n, "seconds": seconds, "total_seconds": total_seconds}
        print(json.dumps(row), flush=True)


def measure_command(command: str, program: str, part: str) -> Row:
    """The lines that a command prints, as one row."""
    process = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in process.stdout.splitlines() if line.startswith('{"')]
    lines = [line for line in lines if line.keys() & {"warmup", "hits"}]
    warmup = next((line["warmup"] for line in lines if "warmup" in line), None)
    runs = [line for line in lines if "hits" in line and "warmup" not in line]
    print(f"{program}: {len(runs)} runs", file=sys.stderr)
    return {"part": part, "program": program, "warmup": warmup, "runs": runs}


def table(rows: list[Row]) -> list[str]:
    """The means, as a Markdown table."""
    columns = ["part", "program", "runs", "mean test accuracy", "± (standard error)", "mean training s", "± (s. e.)"]
    columns += ["cold start s"]
    lines = []
    for row in rows:
        accuracies = [run["hits"] / run["n"] for run in row["runs"]]
        seconds = [run["seconds"] for run in row["runs"]]
        cells = [
            f"{statistics.mean(accuracies):.2%}",
            f"{_standard_error(accuracies):.2%}",
            f"{statistics.mean(seconds):.2f}",
        ]
        warmup = "" if row["warmup"] is None else f"{row['warmup']:.0f}"
        lines.append(
            [row["part"], row["program"], str(len(accuracies)), *cells, f"{_standard_error(seconds):.2f}", warmup]
        )
    return common.table(columns, lines)


def _standard_error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def main() -> None:
    parser = common.arguments(__doc__, "cifar10_recognition_gpu")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--only", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="the parts to run")
    parser.add_argument("--runs", type=int, default=10, help="of Diptych, after the cold start")
    parser.add_argument("--epochs", type=float, nargs=2, default=list(EPOCHS.values()), help="of each part")
    for part in NETWORKS:
        parser.add_argument(f"--airbench{part}", help="a command to time in this part")
    parser.add_argument(
        "--diptych-only", nargs=2, metavar=("NETWORK", "EPOCHS"), help="only run Diptych and print its runs"
    )
    args = parser.parse_args()
    train, test = common.cifar10(args.data)
    if args.diptych_only:
        network, epochs = args.diptych_only
        run_diptych(network, float(epochs), args.runs, train, test)
        return
    rows = []
    for (part, network), epochs in zip(NETWORKS.items(), args.epochs, strict=True):
        if part in args.only:
            command = [
                sys.executable,
                __file__,
                str(train),
                str(test),
                "--runs",
                str(args.runs),
                "--diptych-only",
                network,
            ]
            program = f"Diptych {network}, {epochs:g} epochs"
            rows.append(measure_command(shlex.join([*command, f"{epochs:g}"]), program, part))
            record = getattr(args, f"airbench{part}")
            if record:
                rows.append(measure_command(record, f"airbench{part}", part))
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    options = ["--only", *args.only, "--runs", str(args.runs), "--epochs", *(f"{e:g}" for e in args.epochs)]
    common.publish(
        args.out,
        "CIFAR-10 from scratch on a GPU",
        "The same files for all (JPEG copies: accuracies lie lower than those published).",
        table(rows),
        shlex.join(["python", "benchmarks/cifar10_recognition_gpu.py", *common.names(args.data), *options]),
        machine={"GPU": gpu, **measure.hardware("torch", "numpy")},
        runs=rows,
    )


if __name__ == "__main__":
    main()
