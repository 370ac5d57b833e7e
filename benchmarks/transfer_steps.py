"""What each step of transfer is worth on the test pictures: a head on frozen features, tuning, the choice of both.

Diptych is run from Python as ``fit recognizer`` is, for so many minutes and with three seeds; the network is copied
after each step and tested when the run has ended, so that testing takes none of its time. Which step is the result
is decided by cross-validation and the validation pictures alone; where it is the head on frozen features because that
hardly errs, the backbone is tuned here all the same, to see what it would have come to. A folder with ``train`` and
``test`` is used as it is; of another, a fifth is the test set, near-duplicates on one side; of a pair of ``.parquet``
files, 2,000 pictures of each are used.

    python benchmarks/transfer_steps.py cats-dogs groceries --minutes 2
    python benchmarks/transfer_steps.py cifar10-train.parquet,cifar10-test.parquet --minutes 4
"""

import copy
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

import common
import measure
from common import Row

TEST_SHARE, PARQUET_PICTURES = 0.2, 2000
FROZEN, TUNED, CHOSEN = "probe", "tuned", "chosen"


def parts(source: str, seed: int) -> tuple[Any, Any]:
    """The training and the test pictures."""
    from diptych import Images

    if "," in source:
        train, test = (Images.open(path) for path in source.split(","))
        train, _ = train.split(share := PARQUET_PICTURES / len(train), 1 - share, seed=seed)
        test, _ = test.split(share := PARQUET_PICTURES / len(test), 1 - share, seed=seed)
        return train, test
    folder = Path(source)
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return Images.open(folder / "train"), Images.open(folder / "test")
    train, test = Images.open(folder).split(1 - TEST_SHARE, TEST_SHARE, seed=seed)
    return train, test


def run(source: str, minutes: float, seed: int) -> Row:
    """Hits of the best probe, the best tuned network by validation, and the network that was chosen."""
    from diptych.recognition.recognizer import Recognizer
    from diptych.recognition.training.transfer import finetune

    train, test = parts(source, seed)
    copies: list[tuple[str, float, float, Any]] = []
    add = finetune._Steps.add

    def add_and_copy(steps: Any, name: str, pictures: int, outputs: Any, **options: Any) -> None:
        add(steps, name, pictures, outputs, **options)
        loss = finetune._loss(steps.job, outputs.logits)
        copies.append((name, steps.rows[-1][2], -loss, copy.deepcopy(steps.job.network)))

    why_not_tuned, good_enough = finetune._why_not_tuned, []

    def tune_all_the_same(*arguments: Any) -> str:
        good_enough.append(why_not_tuned(*arguments))
        return ""

    finetune._Steps.add, finetune._why_not_tuned = add_and_copy, tune_all_the_same
    try:
        model = Recognizer("lite0", minutes=minutes, seed=seed).fit(train)
    finally:
        finetune._Steps.add, finetune._why_not_tuned = add, why_not_tuned
    order = [list(train.classes).index(name) for name in test.classes]
    targets = [order[label] for label in test.labels.tolist()]
    steps = []
    for name, score, neg_loss, network in copies:
        hits = count_hits(network, model.size_, test, targets)
        steps.append({"name": name, "validation": score, "order": neg_loss, "hits": hits})
    tuned = steps[1:] or steps
    best = max(tuned, key=lambda step: (step["validation"], step["order"]))
    chosen = steps[0] if good_enough[0] else max(reversed(steps), key=lambda step: (step["validation"], step["order"]))
    hits = {FROZEN: steps[0]["hits"], TUNED: best["hits"], CHOSEN: chosen["hits"]}
    return {"pictures": label(source), "seed": seed, "n": len(test), "steps": steps, **hits}


def count_hits(network: Any, size: int, test: Any, targets: list[int]) -> int:
    """How many test pictures the network classifies correctly."""
    from diptych.recognition.inference.outputs import compute_outputs

    predicted = compute_outputs(network.eval(), test, size, title="Testing").logits.argmax(1).tolist()
    return sum(one == other for one, other in zip(predicted, targets, strict=True))


def table(rows: list[Row]) -> list[str]:
    """A line for each run, and the means."""
    lines = []
    for source in dict.fromkeys(row["pictures"] for row in rows):
        of_source = [row for row in rows if row["pictures"] == source]
        for row in of_source:
            cells = [f"{row[key] / row['n']:.2%}" for key in (FROZEN, TUNED, CHOSEN)]
            lines.append([source, str(row["seed"]), str(row["n"]), *cells])
        means = [f"{statistics.mean(row[key] / row['n'] for row in of_source):.2%}" for key in (FROZEN, TUNED, CHOSEN)]
        lines.append([source, "mean", "", *means])
    return common.table(["pictures", "seed", "n", FROZEN, TUNED, CHOSEN], lines)


def label(source: str) -> str:
    """The name of a source, for the table."""
    return Path(source.split(",")[0]).name.removesuffix("-train.parquet")


ABOUT = (
    "Test accuracy with lite0 at 224 px: of the head on frozen features, of the better of the networks with the last "
    "stage tuned, and of the one that the validation pictures chose."
)


def main() -> None:
    parser = common.arguments(__doc__, "transfer_steps")
    parser.add_argument("data", nargs="+", help="folders, or TRAIN.parquet,TEST.parquet")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    for source in args.data:
        for seed in range(args.seeds):
            rows.append(run(source, args.minutes, seed))
            row = rows[-1]
            print(label(source), seed, row["steps"], row["n"], file=sys.stderr, flush=True)
    sources = [",".join(common.names(map(Path, source.split(",")))) for source in args.data]
    command = ["python", "benchmarks/transfer_steps.py", *sources]
    common.publish(
        args.out,
        "What each step of transfer is worth",
        ABOUT,
        table(rows),
        shlex.join([*command, "--minutes", f"{args.minutes:g}"]),
        machine=measure.hardware("torch", "torchvision", "timm", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
