"""Does synthetic data help where classes are scarce? ``diptych verdict`` on two sets that were cut, and its forecast.

- CIFAR-10 with two classes cut to 50 pictures each; a GAN trained on the training part for some minutes.
- Groceries with ten kinds cut to 5 pictures each; the same.

For each: the verdict's table of all ways to train, and the gain that it forecasts of twice as many real pictures beside
the gain when they are added: the baseline on the same test pictures, trained on twice as many, as the verdict would be
of so many pictures, and for the steps of the first one too.

    python benchmarks/scarce_classes.py DATA -o WORK [--minutes 6] [--case cifar10]

DATA holds cifar10-train.parquet, cifar10-test.parquet and groceries/. All is kept in WORK, and the same command
continues. The tables are printed, and written to WORK/scarce_classes.md.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from diptych import interplay
from diptych.data.images import Images
from diptych.data.training_digests import NONE
from diptych.interplay.verdict.learner import Hyperparameters, Length
from diptych.interplay.verdict.page import ARMS_TABLE
from diptych.interplay.verdict.parts import Parts, divide
from diptych.interplay.verdict.verdict import MIN_SEEDS, choose_learner
from diptych.synthesis.datasets import random_subset
from diptych.synthesis.gan import GAN

PICTURES = {"cifar10": 2_000, "groceries": 1_200}  # before the classes are cut
TEST = 1_500  # pictures, so that it does not take long
SCARCE = {"cifar10": (2, 50), "groceries": (10, 5)}  # how many classes, and how many pictures of each
SIZE = 32  # px of the GAN, which samples as fast as the verdict needs it


def cifar10(data: Path) -> tuple[Images, Images]:
    """Training and test pictures."""
    return Images.open(data / "cifar10-train.parquet"), Images.open(data / "cifar10-test.parquet")


def groceries(data: Path) -> tuple[Images, Images]:
    """Training pictures, and those from other shops."""
    return Images.open(data / "groceries" / "train"), Images.open(data / "groceries" / "test")


CASES: dict[str, Callable[[Path], tuple[Images, Images]]] = {"cifar10": cifar10, "groceries": groceries}


def cut(images: Images, classes: int, pictures: int) -> Images:
    """The first ``classes`` classes cut to so many pictures each."""
    rank = np.zeros(len(images), np.int64)
    for label in range(len(images.classes)):
        rows = np.flatnonzero(images.labels == label)
        rank[rows] = np.random.default_rng(label).permutation(len(rows))
    return images[(images.labels >= classes) | (rank < pictures)]


def doubled(everything: Images, used: Images, training: Images) -> Images:
    """The training pictures and as many others of each class, as far as there are."""
    known = np.isin(everything.paths, used.paths)
    counts = np.bincount(training.labels, minlength=len(training.classes))
    rows = [
        np.random.default_rng(label).permutation(np.flatnonzero(~known & (everything.labels == label)))[:count]
        for label, count in enumerate(counts)
    ]
    return training + everything[np.concatenate(rows)]


def baseline_on(training: Images, parts: Parts, how: Hyperparameters, length: Length) -> float:
    """Balanced accuracy on the test pictures of the verdict's baseline, trained on these pictures for so long."""
    squares, learner, _ = choose_learner(replace(parts, training=training))
    weights = [learner.fit(squares.training, how, length, seed) for seed in range(MIN_SEEDS)]
    predicted = [learner.logits(each, squares.test).argmax(1) for each in weights]
    return float(np.mean([balanced_accuracy_score(parts.test.labels, labels) for labels in predicted]))


def judged(name: str, data: Path, work: Path, minutes: float) -> dict[str, Any]:
    """The verdict on the cut pictures, and what twice as many really bring."""
    everything, test = CASES[name](data)
    everything = random_subset(everything, 4 * PICTURES[name], seed=0)
    test = random_subset(test.relabel(everything.classes), TEST, seed=0)
    half = everything.split(0.5, 0.5, seed=0)[0]  # so that there are as many again of every class
    pictures = cut(random_subset(half, PICTURES[name], seed=0), *SCARCE[name])
    parts = divide(pictures, test, NONE, 0)
    gan = GAN(size=SIZE, minutes=minutes).fit(parts.training, into=work / "gan")
    print(f"{name}: {len(parts.training):,} pictures to learn from, {len(parts.test):,} to test on", flush=True)
    interplay.verdict(pictures, gan, test=test, into=work / "verdict")
    found = json.loads((work / "verdict" / "verdict.json").read_text(encoding="utf-8"))
    chosen = json.loads((work / "verdict" / "progress" / "chosen.json").read_text(encoding="utf-8"))
    parts = divide(pictures, test, gan.training_digests, 0)
    how = Hyperparameters(**chosen[choose_learner(parts)[1].key])
    more = doubled(everything, pictures, parts.training)
    before = found["arms"]["baseline"]["balanced_accuracy"]["value"]
    came, same_steps = (
        baseline_on(more, parts, how, Length.of(count)) - before for count in (len(more), len(parts.training))
    )
    return {**found, "pictures": len(parts.training), "more": len(more), "came": came, "same_steps": same_steps}


def table(name: str, found: dict[str, Any]) -> str:
    """The table of a case in Markdown, and the forecast beside what came."""
    arms = found["tables"][ARMS_TABLE]
    lines = [f"## {name}", "", found["verdict_text"], ""]
    lines += ["| " + " | ".join(arms["columns"]) + " |", "|---" * len(arms["columns"]) + "|"]
    lines += ["| " + " | ".join(cell_text(cell) for cell in row) + " |" for row in arms["rows"]]
    forecast = found["learning_curve"]["gain_of_twice_as_many"]
    expected = f"{100 * forecast['value']:+.1f} points ({100 * forecast['low']:.1f} to {100 * forecast['high']:.1f})"
    counts = f"{found['pictures']:,} to {found['more']:,}"
    came = f"when they were added {100 * found['came']:+.1f}"
    same = f"{100 * found['same_steps']:+.1f} in the steps and batches of the smaller set"
    return "\n".join([*lines, "", f"Twice as many real pictures ({counts}): forecast {expected}; {came} ({same}).", ""])


def cell_text(cell: Any) -> str:
    """A cell of a table: text, or a share with its interval."""
    if not isinstance(cell, dict):
        return str(cell)
    return f"{cell['value']:.1%} ({cell['low']:.1%} to {cell['high']:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6.0, help="of the GAN's training")
    parser.add_argument("--case", choices=CASES, action="append", help="one of the sets alone")
    arguments = parser.parse_args()
    texts = []
    for name in arguments.case or CASES:
        texts.append(table(name, judged(name, arguments.data, arguments.out / name, arguments.minutes)))
        print(texts[-1], flush=True)
        (arguments.out / "scarce_classes.md").write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
