"""One class fifty times as frequent as the other: balanced accuracy with and without the cure, both in one table.

Two classes of CIFAR-10, 4,000 training pictures of dogs and 80 of ships, 15 % of them held out for validation;
tested on 1,000 pictures of each, read once. Both arms train the same way with the same seed; the cured one then lets
each class count the same (``imbalance="auto"``), the plain one does not (``imbalance="none"``).

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
ARMS = {"plain": "none", "cured": "auto"}
GAIN = 0.05  # of balanced accuracy, that the cure has to bring


def uneven(train: Any, seed: int) -> Any:
    """The training pictures of both classes, drawn anew for each seed."""
    draw = np.random.default_rng(seed)
    rows = [
        draw.permutation(np.flatnonzero(train.labels == train.classes.index(name)))[:count]
        for name, count in zip(PAIR, (FREQUENT, RARE), strict=True)
    ]
    return train[np.sort(np.concatenate(rows))].relabel(PAIR)


def measured(train: Any, test: Any, seed: int, arm: str, dials: dict[str, Any]) -> Row:
    """Train one arm and test it."""
    from diptych import Recognizer

    start = time.perf_counter()
    made = Recognizer(**dials, seed=seed, imbalance=ARMS[arm]).fit(uneven(train, seed))
    seconds = time.perf_counter() - start
    part = test[np.isin(test.labels, [test.classes.index(name) for name in PAIR])].relabel(PAIR)
    told = made.predict(part).labels
    recalls = [float(np.mean(told[part.labels == k] == k)) for k in range(2)]
    tried = made.report_.tables.get("Against uneven classes") if made.report_ else None
    chosen = next((row[0] for row in tried.rows if row[-1] == "chosen"), "") if tried else ""
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
    columns = ["arm", "seed", "balanced accuracy", f"{PAIR[0]} told right", f"{PAIR[1]} told right"]
    lines = []
    for row in rows:
        scores = [f"{row[name]:.1%}" for name in ("balanced_accuracy", "frequent", "rare")]
        lines.append([row["arm"], row["seed"], *scores, row["chosen"], f"{row['seconds']:.0f}"])
    return common.table([*columns, "chosen on validation", "seconds"], lines)


def verdict(rows: list[Row]) -> str:
    """What the cure gains, in a sentence."""
    plain, cured = ([row["balanced_accuracy"] for row in rows if row["arm"] == arm] for arm in ARMS)
    gains = [after - before for before, after in zip(plain, cured, strict=True)]
    enough = "5 points or more every time" if min(gains) >= GAIN else "not 5 points every time"
    return (
        f"Balanced accuracy {fmean(plain):.1%} without the cure, {fmean(cured):.1%} with it: "
        f"{100 * fmean(gains):+.1f} points on average, {100 * min(gains):+.1f} at least ({enough})."
    )


def main() -> None:
    parser = common.arguments(__doc__, "imbalance")
    parser.add_argument("train", type=Path, help="CIFAR-10's training pictures, Parquet")
    parser.add_argument("test", type=Path, help="and its test pictures")
    parser.add_argument("--network", default="convnet")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3, help="how often, with seeds 0, 1, …")
    asked = parser.parse_args()
    from diptych import Images

    train, test = Images.open(asked.train), Images.open(asked.test)
    dials = {"network": asked.network, "epochs": asked.epochs}
    rows = []
    for seed in range(asked.seeds):
        for arm in ARMS:
            rows.append(measured(train, test, seed, arm, dials))
            print(table(rows)[-1], file=sys.stderr)
    shown = [*common.names([asked.train, asked.test]), "--network", asked.network, "--epochs", str(asked.epochs)]
    common.publish(
        asked.out,
        "Uneven classes, 1 to 50",
        " ".join((__doc__ or "").split("\n\n")[1].split()),
        [*table(rows), "", verdict(rows)],
        shlex.join(["python", "benchmarks/imbalance.py", *shown, "--seeds", str(asked.seeds)]),
        machine=measure.hardware("torch", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
