"""Planted shortcuts: whether `audit bias` finds them, names the worst group, and is silent on clean sets; remedies.

planted   digits of 8 px in two classes, "low" (0 to 4) and "high" (5 to 9), in grey on a red or a blue background. In
          training 95 % of the low ones are on red and of the high ones on blue. The recognizer is audited on other
          digits whose backgrounds are drawn evenly, and on others that carry the bias as the training pictures do;
          the audit is not told of the backgrounds. Then it is fitted with each remedy. Ten seeds.

clean     ten sets without a planted shortcut: the digits with backgrounds at random (4), CIFAR-10 (3), cats and dogs
          (2), groceries (1; the test pictures are from other shops).

    python benchmarks/planted_shortcuts.py folder     # cifar10-train.parquet, cats-dogs/ and groceries/
    python benchmarks/planted_shortcuts.py folder --seeds 2 --only planted

A part that is not run keeps its rows from the previous run. Seeds below 10 were used while the rules of the audit and
the remedies were made.
The worst group is named rightly where no class on a background, by what was planted, is recognised less often.
Accuracy of the worst group is that of the lowest of the four, on the evenly drawn pictures.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import common
import measure
import numpy as np
from common import Row

CLASSES = ("low", "high")
COLOURS = {"red": (190, 65, 50), "blue": (50, 90, 190)}  # that of class 0, that of class 1
TRAINING = 1000
BIAS = 0.95
EPOCHS = 8
REMEDIES = ("balanced", "last-layer", "group-dro")
AIM = 0.15  # that a remedy is to raise the worst group's accuracy by


def on_colours(digits: Any, bias: float, seed: int) -> tuple[Any, np.ndarray]:
    """Digits on coloured backgrounds with their column "background", and (N,) the class whose colour each has."""
    from diptych import Images

    labels = (digits.labels >= 5).astype(int)
    of_class = np.where(np.random.default_rng(seed).random(len(digits)) < bias, labels, 1 - labels)
    ink = digits.pixels(8).permute(0, 2, 3, 1).numpy() / 255.0
    colours = np.array(list(COLOURS.values()))[of_class][:, None, None, :]
    pixels = (colours * (1 - ink) + 255 * ink).astype(np.uint8)
    groups = {"background": np.array(list(COLOURS))[of_class]}
    return Images.from_arrays(pixels, labels, classes=CLASSES, groups=groups), of_class


def split_digits(bias: float, seed: int) -> tuple[Any, Any]:
    """Coloured training pictures with this bias, and the other digits as they are."""
    from diptych import Images

    digits = Images.open("digits")
    rows = np.random.default_rng(seed).permutation(len(digits))
    return on_colours(digits[rows[:TRAINING]], bias, seed)[0], digits[rows[TRAINING:]]


def fitted(training: Any, seed: int, **options: Any) -> Any:
    """The recognizer of all arms."""
    from diptych import Recognizer

    return Recognizer("convnet", size=8, epochs=EPOCHS, seed=seed, **options).fit(training)


def cell_accuracies(recognizer: Any, test: Any, of_class: np.ndarray) -> dict[tuple[int, int], float]:
    """Accuracy by (class, class whose background it has)."""
    correct = recognizer.predict(test).labels == test.labels
    cells = {(k, b): (test.labels == k) & (of_class == b) for k in range(2) for b in range(2)}
    return {cell: float(correct[rows].mean()) for cell, rows in cells.items() if rows.any()}


def audited(recognizer: Any, test: Any, of_class: np.ndarray, seed: int) -> Row:
    """What the audit says, without the column of backgrounds, and whether its worst group is the worst."""
    from diptych import audit
    from diptych.data.combine import without_groups

    report = audit.bias(recognizer, without_groups(test), seed=seed)
    accuracies = cell_accuracies(recognizer, test, of_class)
    claims = report.facts["shortcuts"]
    named = False
    if claims:
        worst = claims[0]["worst group"]
        cell = (CLASSES.index(worst["class"]), CLASSES.index(worst["speaks for"] or worst["class"]))
        named = accuracies[cell] == min(accuracies.values())
    return {"verdict": report.verdict.word, "property": claims[0]["property"] if claims else "", "named": named}


def planted(seed: int, remedies: tuple[str, ...] = REMEDIES) -> Row:
    """One seed: the audits of both test sets, and the worst group's accuracy without a remedy and with each."""
    training, others = split_digits(BIAS, seed)
    even, of_class = on_colours(others, 0.5, seed + 1000)
    biased = on_colours(others, BIAS, seed + 2000)
    plain = fitted(training, seed)
    worst = {"none": min(cell_accuracies(plain, even, of_class).values())}
    audits = {"even": audited(plain, even, of_class, seed), "biased": audited(plain, *biased, seed)}
    for remedy in remedies:
        recognizer = fitted(training, seed, group="background", remedy=remedy)
        worst[remedy] = min(cell_accuracies(recognizer, even, of_class).values())
    return {"seed": seed, "worst": worst, **audits}


def clean_sets(folder: Path, first: int) -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """(name, training pictures, test pictures, settings) of each clean set, drawn by seeds from the first on."""
    from diptych import Images

    for seed in range(first, first + 4):
        training, others = split_digits(0.5, seed)
        options = {"network": "convnet", "size": 8, "epochs": EPOCHS}
        yield f"digits, colours at random, {seed}", training, on_colours(others, 0.5, seed + 1000)[0], options
    cifar = Images.open(folder / "cifar10-train.parquet")
    for seed, count in enumerate((10, 4, 2), first):
        draw = np.random.default_rng(seed)
        names = [cifar.classes[k] for k in np.sort(draw.permutation(10)[:count])]
        rows = draw.permutation(np.flatnonzero(np.isin(np.array(cifar.classes)[cifar.labels], names)))[:5000]
        subset = cifar[rows].relabel(names)
        yield f"CIFAR-10, {count} classes", subset[:3500], subset[3500:], {"network": "convnet", "epochs": 12}
    pets = Images.open(folder / "cats-dogs")
    for seed in range(first, first + 2):
        rows = np.random.default_rng(seed).permutation(len(pets))
        yield (
            f"cats and dogs, {seed}",
            pets[rows[:1000]],
            pets[rows[1000:]],
            {"network": "lite0", "size": 96, "minutes": 1},
        )
    groceries = (Images.open(folder / "groceries" / part) for part in ("train", "test"))
    yield ("groceries", *groceries, {"network": "lite0", "size": 96, "minutes": 1})


def clean(name: str, training: Any, test: Any, options: dict[str, Any]) -> Row:
    """Fit to a clean set and audit."""
    from diptych import Recognizer, audit

    report = audit.bias(Recognizer(**options).fit(training), test)
    claims = ", ".join(claim["property"] for claim in report.facts["shortcuts"])
    return {"set": name, "verdict": report.verdict.word, "accuracy": report.scores["accuracy"].value, "claimed": claims}


def planted_table(rows: list[Row]) -> list[str]:
    """The planted runs as a Markdown table."""
    columns = ["seed", "even: verdict", "property", "worst group", "95:5: verdict", "property", "worst group"]
    lines = [
        [
            row["seed"],
            *(cell for a in (row["even"], row["biased"]) for cell in (a["verdict"], a["property"], _right(a["named"]))),
            *(f"{accuracy:.1%}" for accuracy in row["worst"].values()),
        ]
        for row in rows
    ]
    return common.table([*columns, *(f"worst, remedy {name}" for name in ("none", *REMEDIES))], lines)


def _right(named: bool) -> str:
    return "right" if named else "not"


def summary(rows: list[Row], clean_rows: list[Row]) -> list[str]:
    """What it comes to, in sentences."""
    sentences = []
    if rows:
        for key, words in (("even", "evenly drawn"), ("biased", "biased")):
            audits = [row[key] for row in rows]
            hits = sum(a["verdict"] == "shortcut" for a in audits)
            named = sum(a["named"] for a in audits)
            sentences.append(
                f"On {words} pictures the shortcut is found in {hits} of {len(rows)} seeds, and its worst group named "
                f"in {named}."
            )
        for remedy in REMEDIES:
            gains = [row["worst"][remedy] - row["worst"]["none"] for row in rows]
            enough = "as aimed" if min(gains) >= AIM else "less than aimed"
            sentences.append(
                f"Remedy {remedy}: the worst group's accuracy rises by {100 * fmean(gains):.1f} points on average, by "
                f"{100 * min(gains):.1f} at least ({enough}: {100 * AIM:.0f})."
            )
    if clean_rows:
        silent = sum(row["verdict"] != "shortcut" for row in clean_rows)
        sentences.append(f"No shortcut is claimed on {silent} of {len(clean_rows)} clean sets.")
    return sentences


def main() -> None:
    parser = common.arguments(__doc__, "planted_shortcuts")
    parser.add_argument("folder", type=Path, help="the folder with the picture sets")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=10, help="the first seed; those below 10 were used in development")
    parser.add_argument("--only", choices=("planted", "clean"))
    args = parser.parse_args()
    rows, clean_rows = [], []
    for seed in range(args.first, args.first + args.seeds) if args.only != "clean" else ():
        rows.append(planted(seed))
        print(rows[-1], file=sys.stderr, flush=True)
    for chosen in clean_sets(args.folder, args.first) if args.only != "planted" else ():
        clean_rows.append(clean(*chosen))
        print(clean_rows[-1], file=sys.stderr, flush=True)
    if args.only and args.out.with_suffix(".json").exists():
        earlier = json.loads(args.out.with_suffix(".json").read_text(encoding="utf-8"))
        rows, clean_rows = rows or earlier["runs"], clean_rows or earlier["clean"]
    lines = [*planted_table(rows), ""] if rows else []
    if clean_rows:
        cells = [[row["set"], f"{row['accuracy']:.1%}", row["verdict"], row["claimed"]] for row in clean_rows]
        lines += [*common.table(["clean set", "accuracy", "verdict", "shortcut claimed"], cells), ""]
    lines.append(" ".join(summary(rows, clean_rows)))
    about, _, rules = (__doc__ or "").partition("\n\n    python")
    parts = [" ".join(text.split()) for text in (*about.split("\n\n")[1:], rules.split("\n\n", 1)[1])]
    common.publish(
        args.out,
        "Planted shortcuts",
        "\n\n".join(parts),
        lines,
        f"python benchmarks/planted_shortcuts.py folder --first {args.first} --seeds {len(rows)}",
        machine=measure.hardware("torch", "numpy", "scikit-learn"),
        runs=rows,
        clean=clean_rows,
    )


if __name__ == "__main__":
    main()
