"""Unknown pictures: how well a recognizer flags pictures of something else, near and far.

Each recognizer is fitted to 70 % of its pictures, calibrated on 15 %, and meets the last 15 % (known) and up to 500
pictures of each kind of stranger. AUROC is the probability that a known picture is more familiar than a stranger;
flagged and false alarms are the shares flagged at the threshold that ships, which is set on the 15 % for calibration.

    python benchmarks/unknown_pictures.py cats-dogs groceries/train cifar10-test.parquet
"""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import common
import measure
import numpy as np
from common import Row

MAX_STRANGERS = 500
GENERATED = 100  # of each kind of generated stranger
SIDE = 160  # px, of generated strangers
ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
BY_SCORE = "Detection of unknown pictures, by score"
SHARES = (0.7, 0.15, 0.15)  # to fit, to calibrate, to meet


def generated(kind: str) -> Any:
    """Pictures of noise, of one colour, or of three discs on one colour."""
    from diptych import Images

    rng = np.random.default_rng(0)
    down, across = np.mgrid[:SIDE, :SIDE]
    pixels = []
    for _ in range(GENERATED):
        picture = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (SIDE, SIDE, 3)).copy()
        if kind == "noise":
            picture = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        for _ in range(3 if kind == "discs" else 0):
            row, column, radius = (int(n) for n in rng.integers((20, 20, 10), (140, 140, 40)))
            picture[(down - row) ** 2 + (across - column) ** 2 < radius**2] = rng.integers(0, 256, 3, np.uint8)
        pixels.append(picture)
    return Images.from_arrays(pixels)


def spread(images: Any) -> Any:
    """Up to ``MAX_STRANGERS`` of the pictures, evenly spread."""
    return images[np.unique(np.linspace(0, len(images) - 1, MAX_STRANGERS).astype(int))]


def classes_of(images: Any, names: list[str]) -> tuple[Any, Any]:
    """The pictures of these classes, and the others."""
    inside = np.isin(images.labels, [images.classes.index(name) for name in names])
    return images[inside].relabel(names), images[~inside]


def cases(cats_dogs: Any, groceries: Any, cifar10: Any) -> dict[str, tuple[Any, dict[str, Any], dict[str, Any]]]:
    """By name of the known pictures: these, the strangers by name, and the recognizer's parameters."""
    kinds = np.random.default_rng(0).permutation(list(groceries.classes))[: len(groceries.classes) // 2].tolist()
    known_kinds, other_kinds = classes_of(groceries, kinds)
    animals, vehicles = classes_of(cifar10, list(ANIMALS))
    plain = {kind: generated(kind) for kind in ("noise", "one colour", "discs")}
    return {
        "cats and dogs": (cats_dogs, {"groceries": groceries, "CIFAR-10": cifar10, **plain}, {"network": "lite0"}),
        "25 kinds of groceries": (
            known_kinds,
            {"the other 25 kinds": other_kinds, "cats and dogs": cats_dogs, **plain},
            {"network": "lite0"},
        ),
        "CIFAR-10 animals, from scratch": (
            animals,
            {"CIFAR-10 vehicles": vehicles, "groceries": groceries, **plain},
            {"network": "speednet-s"},
        ),
    }


def measure_case(name: str, known: Any, strangers: dict[str, Any], parameters: dict[str, Any]) -> list[Row]:
    """Fit a recognizer and let it meet each kind of stranger."""
    from diptych import Recognizer

    start = time.perf_counter()
    training, calibration, test = known.split(*SHARES, seed=0)
    recognizer = Recognizer(**parameters).fit(training, validate=calibration)
    seconds = time.perf_counter() - start
    rows = []
    for stranger, images in strangers.items():
        report = recognizer.evaluate(test, unknown=spread(images))
        scores = {score: report.scores[f"unknown_{score}"] for score in ("auroc", "tpr", "fpr")}
        rows.append({
            "known": name,
            "strangers": stranger,
            **{score: value.json() for score, value in scores.items()},
            "accuracy": report.scores["accuracy"].json(),
            "by_score": {name: score.json() for name, score in report.tables[BY_SCORE].rows},
            "fit_seconds": seconds,
        })  # fmt: skip
        print(table(rows[-1:])[-1], file=sys.stderr)
    return rows


def table(rows: list[Row]) -> list[str]:
    """The rows as a Markdown table."""
    columns = ["known", "strangers", "n", "AUROC", "95 % interval", "flagged", "false alarms", "n known", "accuracy"]
    return common.table(columns, [[
        row["known"],
        row["strangers"],
        row["tpr"]["n"],
        f"{row['auroc']['value']:.3f}",
        f"{row['auroc']['low']:.3f} to {row['auroc']['high']:.3f}",
        f"{row['tpr']['value']:.1%}",
        f"{row['fpr']['value']:.1%}",
        row["fpr"]["n"],
        f"{row['accuracy']['value']:.1%}",
    ] for row in rows])  # fmt: skip


def main() -> None:
    parser = common.arguments(__doc__, "unknown_pictures")
    parser.add_argument("cats_dogs", type=Path, help="a folder of photographs in class folders")
    parser.add_argument("groceries", type=Path, help="another, of many kinds that resemble each other")
    parser.add_argument("cifar10", type=Path, help="CIFAR-10's test pictures, Parquet")
    parser.add_argument("--minutes", type=float, default=2, help="to fit each recognizer")
    args = parser.parse_args()
    from diptych import Images

    paths = [args.cats_dogs, args.groceries, args.cifar10]
    names = [args.cats_dogs.name, "/".join(args.groceries.parts[-2:]), args.cifar10.name]
    rows = []
    for name, (known, strangers, parameters) in cases(*map(Images.open, paths)).items():
        rows += measure_case(name, known, strangers, {**parameters, "minutes": args.minutes})
    common.publish(
        args.out,
        "Unknown pictures",
        " ".join((__doc__ or "").split("\n\n")[1].split()),
        table(rows),
        shlex.join(["python", "benchmarks/unknown_pictures.py", *names, "--minutes", f"{args.minutes:g}"]),
        machine=measure.hardware("torch", "timm", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
