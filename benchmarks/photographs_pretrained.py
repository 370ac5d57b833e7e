"""Photographs with pretrained features in equal minutes: Diptych, fastai and scikit-learn, on the same backbone.

All three stand on EfficientNet-Lite0 with the same ImageNet weights: fastai's ``vision_learner`` fine-tunes it,
logistic regression is fitted to its features, Diptych is run as ``fit recognizer`` without any other option. They get
the same training pictures, each run in a fresh process, one after the other, with empty caches. Each test accuracy is
measured once, from the saved model. A folder with ``train`` and ``test`` is used as it is; of another, a fifth is the
test set, near-duplicates on one side.

    python benchmarks/photographs_pretrained.py cats-dogs groceries --minutes 2 6
    python benchmarks/photographs_pretrained.py groceries --minutes 2 --busy 2
"""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
import measure
import photographs_from_scratch
from common import Row

HERE = Path(__file__).parent
LOOP = "while True: pass"
SEED = 0


def parts(folder: Path, place: Path) -> tuple[Path, Path]:
    """The training and the test folder."""
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return folder / "train", folder / "test"
    return photographs_from_scratch.split(folder, place / "pictures", SEED)


def fastai_side(train: Path, test: Path, place: Path, minutes: float) -> Row:
    """Fine-tune with fastai, and test."""
    program, saved = [sys.executable, str(HERE / "fastai_lite0.py")], str(place / "model.pkl")
    fit = measure.run([*program, "fit", str(train), saved, "--minutes", str(minutes), "--seed", str(SEED)], {})
    trained = json.loads(fit.stdout.splitlines()[-1])
    tested = json.loads(measure.run([*program, "evaluate", str(test), saved], {}).stdout.splitlines()[-1])
    length = f"{trained['epochs']} epochs" if trained["epochs"] else f"head alone, {trained['head_epochs']} epochs"
    cost = common.outcome(fit, trained["training_seconds"], tested["hits"], tested["n"])
    return {"program": f"fastai vision_learner, {length}", **cost}


def logistic_side(train: Path, test: Path, place: Path, minutes: float) -> Row:
    """Logistic regression, which takes the time that it takes."""
    run = measure.run([sys.executable, str(HERE / "logistic_lite0.py"), str(train), str(test)], {})
    result = json.loads(run.stdout.splitlines()[-1])
    cost = common.outcome(run, result["training_seconds"], result["hits"], result["n"])
    return {"program": "scikit-learn LogisticRegressionCV", **cost}


def diptych_side(train: Path, test: Path, place: Path, minutes: float) -> Row:
    """Diptych as a newcomer runs it."""
    program, model = [sys.executable, "-m", "diptych"], place / "model"
    environment = {
        "XDG_CACHE_HOME": str(place / "cache")
    }  # converting the weights and every feature is part of the time
    command = [*program, "fit", "recognizer", str(train), "--minutes", str(minutes), "-o", str(model), "--json"]
    fit = measure.run(command, environment)
    tested = json.loads(measure.run([*program, "evaluate", str(model), str(test), "--json"], environment).stdout)
    trained, accuracy = json.loads(fit.stdout), tested["accuracy"]
    held_out = trained["scores"]
    return {
        "program": "Diptych",
        "validation": held_out["accuracy"]["value"],
        "calibration_error": [held_out["calibration_error"]["value"], tested["calibration_error"]["value"]],
        **common.outcome(fit, None, round(accuracy["value"] * accuracy["n"]), accuracy["n"]),
    }


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """So many endless loops at the lowest priority beside what is measured."""
    loops = [subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()


def measure_all(folders: list[Path], minutes: list[float], busy: int) -> list[Row]:
    """One row per folder, time and program; with neighbours only Diptych's."""
    rows = []
    for folder in folders:
        for budget in minutes:
            for side in (diptych_side,) if busy else (diptych_side, fastai_side, logistic_side):
                with tempfile.TemporaryDirectory(prefix="pretrained-") as place, busy_neighbours(busy):
                    train, test = parts(folder, Path(place))
                    row = {"pictures": folder.name, "minutes": budget, "busy": busy}
                    row |= side(train, test, Path(place), budget)
                print(f"{row['program']}: {row['hits'] / row['n']:.2%} in {row['seconds']:.1f} s", file=sys.stderr)
                rows.append(row)
    return rows


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    lines = []
    for row in rows:
        held_out = f"{row['validation']:.2%}" if "validation" in row else ""
        errors = " / ".join(f"{error:.3f}" for error in row.get("calibration_error", ()))
        cells = [row["pictures"], f"{row['minutes']:g}", row["program"], *common.accuracy_cells(row), held_out, errors]
        lines.append([*cells, *common.cost_cells(row)])
    columns = ["pictures", "minutes", "program", *common.ACCURACY, "held out", "calibration error, held out / test"]
    return common.table([*columns, *common.COST], lines)


ABOUT = (
    "The same pictures for training and for the test, the same backbone and weights, each run in a fresh process. "
    "Total seconds: from the start of the process to its end, with the model saved (logistic regression: tested)."
)


def main() -> None:
    parser = common.arguments(__doc__, "photographs_pretrained")
    parser.add_argument("data", type=Path, nargs="+", help="folders of class folders, or with train/ and test/")
    parser.add_argument("--minutes", type=float, nargs="+", default=[2.0, 6.0])
    parser.add_argument(
        "--busy", type=int, default=0, help="endless loops of low priority beside Diptych, which runs alone"
    )
    args = parser.parse_args()
    rows = measure_all(args.data, args.minutes, args.busy)
    options = ["--minutes", *(f"{minutes:g}" for minutes in args.minutes)]
    options += ["--busy", str(args.busy)] if args.busy else []
    common.publish(
        args.out,
        "Photographs with pretrained features",
        ABOUT,
        table(rows),
        shlex.join(["python", "benchmarks/photographs_pretrained.py", *common.names(args.data), *options]),
        machine=measure.hardware("torch", "torchvision", "timm", "fastai", "scikit-learn", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
