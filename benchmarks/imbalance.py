"""One class fifty times as frequent as the other: balanced accuracy with and without rebalancing.

Two classes of CIFAR-10, 4,000 training pictures of dogs and 80 of ships, 15 % of them held out for validation;
tested once on 1,000 pictures of each. Both arms train the same way with the same seed; the rebalanced one then gives
each class the same weight (``imbalance="auto"``), the plain one does not (``imbalance="none"``).

    python benchmarks/imbalance.py cifar10-train.parquet cifar10-test.parquet
"""

import shlex
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import common
import measure
import numpy as np
from common import Row

PAIR = ("dog", "ship")  # frequent, rare
FREQUENT, RARE = 4000, 80
ARMS = {"plain": "none", "rebalanced": "auto"}
MIN_GAIN = 0.05  # of balanced accuracy: the aim


def imbalanced_subset(train: Any, seed: int) -> Any:
    """Training pictures of both classes, drawn anew for each seed."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(train.labels == train.classes.index(name)))[:count]
        for name, count in zip(PAIR, (FREQUENT, RARE), strict=True)
    ]
    return train[np.sort(np.concatenate(rows))].relabel(PAIR)


def measure_arm(train: Any, test: Any, seed: int, arm: str, options: dict[str, Any]) -> Row:
    """Train one arm and test it."""
    from diptych import Recognizer

    start = time.perf_counter()
    recognizer = Recognizer(**options, seed=seed, imbalance=ARMS[arm]).fit(imbalanced_subset(train, seed))
    seconds = time.perf_counter() - start
    subset = test[np.isin(test.labels, [test.classes.index(name) for name in PAIR])].relabel(PAIR)
    predicted = recognizer.predict(subset).labels
    recalls = [float(np.mean(predicted[subset.labels == k] == k)) for k in range(2)]
    methods = recognizer.report_.tables.get("Imbalance methods") if recognizer.report_ else None
    chosen = next((row[0] for row in methods.rows if row[-1] == "chosen"), "") if methods else ""
    return {
        "seed": seed,
        "arm": arm,
        "balanced_accuracy": fmean(recalls),
        "frequent": recalls[0],
        "rare": recalls[1],
        "chosen": chosen,
        "seconds": seconds,
    }


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    columns = ["arm", "seed", "balanced accuracy", f"recall of {PAIR[0]}", f"recall of {PAIR[1]}"]
    lines = []
    for row in rows:
        scores = [f"{row[name]:.1%}" for name in ("balanced_accuracy", "frequent", "rare")]
        lines.append([row["arm"], row["seed"], *scores, row["chosen"], f"{row['seconds']:.0f}"])
    return common.table([*columns, "chosen on validation", "seconds"], lines)


def verdict(rows: list[Row]) -> str:
    """The gain by rebalancing, in a sentence."""
    plain, rebalanced = ([row["balanced_accuracy"] for row in rows if row["arm"] == arm] for arm in ARMS)
    gains = [after - before for before, after in zip(plain, rebalanced, strict=True)]
    enough = "5 points or more every time" if min(gains) >= MIN_GAIN else "not 5 points every time"
    return (
        f"Balanced accuracy {fmean(plain):.1%} without rebalancing, {fmean(rebalanced):.1%} with it: "
        f"{100 * fmean(gains):+.1f} points on average, {100 * min(gains):+.1f} at least ({enough})."
    )


def main() -> None:
    parser = common.arguments(__doc__, "imbalance")
    parser.add_argument("train", type=Path, help="CIFAR-10's training pictures, Parquet")
    parser.add_argument("test", type=Path, help="and its test pictures")
    parser.add_argument("--network", default="convnet")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3, help="number of runs of each arm, with seeds 0, 1, …")
    args = parser.parse_args()
    from diptych import Images

    train, test = Images.open(args.train), Images.open(args.test)
    options = {"network": args.network, "epochs": args.epochs}
    rows = []
    for seed in range(args.seeds):
        for arm in ARMS:
            rows.append(measure_arm(train, test, seed, arm, options))
            print(table(rows)[-1], file=sys.stderr)
    published = [*common.names([args.train, args.test]), "--network", args.network, "--epochs", str(args.epochs)]
    common.publish(
        args.out,
        "Imbalanced classes, 1 to 50",
        " ".join((__doc__ or "").split("\n\n")[1].split()),
        [*table(rows), "", verdict(rows)],
        shlex.join(["python", "benchmarks/imbalance.py", *published, "--seeds", str(args.seeds)]),
        machine=measure.hardware("torch", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
