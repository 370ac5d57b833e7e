"""Photographs from scratch in equal minutes: Diptych and fastai's resnet18, without pretrained weights, in one run.

A fifth of the pictures is held out as the test set, near-duplicates on one side; both programs get the others as a
folder of class folders and the same minutes, each in a fresh process, one after the other. Each test accuracy is
measured once, from the saved model, in another process.

    python benchmarks/photographs_from_scratch.py folder --minutes 10
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import common
import measure
from common import Row

HERE = Path(__file__).parent
TEST_SHARE = 0.2


def split(folder: Path, target: Path, seed: int) -> tuple[Path, Path]:
    """Folders of class folders for training and for the test, written in another process; see :func:`lay_out`."""
    program = [sys.executable, str(Path(__file__)), str(folder), "--lay-out", str(target), "--seed", str(seed)]
    measure.run(program, {})
    return target / "train", target / "test"


def lay_out(folder: Path, target: Path, seed: int) -> None:
    """Copy the pictures of ``folder`` into ``target``/train and ``target``/test."""
    from diptych import Images  # it imports torch, so not in the process that measures

    parts = Images.open(folder).split(1 - TEST_SHARE, TEST_SHARE, seed=seed)
    for name, part in zip(("train", "test"), parts, strict=True):
        for path, label in zip(part.paths, part.labels, strict=True):
            class_folder = target / name / part.classes[label]
            class_folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, class_folder)


def fastai_side(train: Path, test: Path, folder: Path, minutes: float, seed: int) -> Row:
    """Train and test fastai's resnet18."""
    program, saved = [sys.executable, str(HERE / "fastai_resnet.py")], str(folder / "model.pkl")
    options = ["--minutes", str(minutes), "--seed", str(seed)]
    fit = measure.run([*program, "fit", str(train), saved, *options], {})
    trained = json.loads(fit.stdout.splitlines()[-1])
    tested = json.loads(measure.run([*program, "evaluate", str(test), saved], {}).stdout.splitlines()[-1])
    name = f"fastai resnet18, {trained['epochs']} epochs"
    outcome = common.outcome(fit, trained["training_seconds"], tested["hits"], tested["n"])
    return {"program": name, "seed": seed, **outcome}


def diptych_side(train: Path, test: Path, folder: Path, minutes: float, seed: int) -> Row:
    """Train and test Diptych's speednet."""
    options = ["--network", "speednet", "--minutes", str(minutes), "--seed", str(seed)]
    return {"program": "Diptych speednet", "seed": seed, **common.diptych(train, test, folder, options)}


def measure_pairs(folder: Path, minutes: float, pairs: int) -> list[Row]:
    """One row per run; each pair has its own seed and split."""
    rows = []
    for seed in range(pairs):
        with tempfile.TemporaryDirectory(prefix="photographs-") as place:
            train, test = split(folder, Path(place) / "pictures", seed)
            for side in (fastai_side, diptych_side) if seed % 2 == 0 else (diptych_side, fastai_side):
                row = side(train, test, Path(place), minutes, seed)
                print(f"{row['program']}: {row['hits'] / row['n']:.2%} in {row['seconds']:.1f} s", file=sys.stderr)
                rows.append(row)
    return rows


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    lines = [[row["program"], row["seed"], *common.accuracy_cells(row), *common.cost_cells(row)] for row in rows]
    return common.table(["program", "seed", *common.ACCURACY, *common.COST], lines)


def verdict(rows: list[Row]) -> str:
    """The two accuracies and their difference, in a sentence."""
    ours, theirs = (
        sum(row["hits"] for row in side) / sum(row["n"] for row in side)
        for side in (
            [row for row in rows if row["program"].startswith("Diptych")],
            [row for row in rows if not row["program"].startswith("Diptych")],
        )
    )
    return f"In equal minutes Diptych reaches {ours:.2%}, fastai {theirs:.2%}: {100 * (ours - theirs):+.2f} points."


ABOUT = (
    "The same pictures for training and for the test, the same minutes, no pretrained weights, each run in a fresh "
    "process. Total seconds: from the start of the process to its end, with the model saved. Both hold 15 % of "
    "the training pictures out for validation."
)


def main() -> None:
    parser = common.arguments(__doc__, "photographs_from_scratch")
    parser.add_argument("data", type=Path, help="a folder of class folders")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pairs", type=int, default=1, help="how often both programs are run, with seeds 0, 1, …")
    parser.add_argument("--lay-out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.lay_out:
        lay_out(args.data, args.lay_out, args.seed)
        return
    rows = measure_pairs(args.data, args.minutes, args.pairs)
    options = ["--minutes", f"{args.minutes:g}", "--pairs", str(args.pairs)]
    common.publish(
        args.out,
        "Photographs from scratch",
        ABOUT,
        [*table(rows), "", verdict(rows)],
        shlex.join(["python", "benchmarks/photographs_from_scratch.py", args.data.name, *options]),
        machine=measure.hardware("torch", "torchvision", "fastai", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
