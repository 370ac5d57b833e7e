"""Matching with a gallery of groceries: accuracy, and what the adapter brings, also for kinds that it never saw.

Pictures of ``test`` are matched with galleries of ``train``, of five pictures of each kind, of one iconic picture of
each kind, and of 25 kinds whose adapter learned from the other 25; each plain and adapted. An adapter that learned from
all of ``train`` is kept when its pictures are removed and others enrolled.

    python benchmarks/gallery_groceries.py groceries
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

SEEDS = 3  # of drawn pictures and kinds
FEW = 5


def of_kinds(images: Any, kinds: list[str]) -> Any:
    """The pictures of these kinds."""
    return images[np.isin(images.labels, [images.classes.index(kind) for kind in kinds])]


def some_of_each(images: Any, count: int, seed: int) -> Any:
    """``count`` pictures of each kind, drawn at random."""
    draw = np.random.default_rng(seed)
    rows = [draw.permutation(np.flatnonzero(images.labels == k))[:count] for k in range(len(images.classes))]
    return images[np.sort(np.concatenate(rows))]


def row(name: str, adapter: str, gallery: Any, test: Any) -> Row:
    """Evaluate a gallery."""
    start = time.perf_counter()
    report = gallery.evaluate(test)
    scores = {key: score.json() for key, score in report.scores.items()}
    hits = round(scores["accuracy"]["value"] * scores["accuracy"]["n"])
    seconds = time.perf_counter() - start
    result = {"gallery": name, "adapter": adapter, "pictures": len(gallery), "hits": hits, "n": scores["accuracy"]["n"]}
    return {**result, "scores": scores, "seconds": seconds}


def emptied(gallery: Any) -> Any:
    """The gallery without its pictures, with its adapter."""
    gallery.remove(labels=list(gallery.labels))
    return gallery


def rows(train: Any, test: Any, iconic: Any) -> list[Row]:
    """All galleries."""
    from diptych import Gallery

    plain, adapted = Gallery().enroll(train), Gallery().enroll(train, adapt=True)
    print(adapted.enrolment_.adapter, file=sys.stderr)
    results = [row("all of train", "none", plain, test), row("all of train", "of its pictures", adapted, test)]
    emptied(adapted)
    results.append(row("one iconic picture a kind", "none", Gallery().enroll(iconic), test))
    results.append(row("one iconic picture a kind", "of train", adapted.enroll(iconic), test))
    for seed in range(SEEDS):
        few = some_of_each(train, FEW, seed)
        name = f"{FEW} pictures a kind, seed {seed}"
        results.append(row(name, "none", Gallery().enroll(few), test))
        results.append(row(name, "of its pictures", Gallery().enroll(few, adapt=True), test))
        results.append(row(name, "of train", emptied(adapted).enroll(few), test))
    for seed in range(SEEDS):
        kinds = np.random.default_rng(seed).permutation(list(train.classes)).tolist()
        half = len(kinds) // 2
        others = Gallery().enroll(of_kinds(train, kinds[half:]), adapt=True)
        name, known = f"{half} kinds, seed {seed}", kinds[:half]
        results.append(row(name, "none", Gallery().enroll(of_kinds(train, known)), of_kinds(test, known)))
        results.append(
            row(name, "of the other kinds", emptied(others).enroll(of_kinds(train, known)), of_kinds(test, known))
        )
    return results


def cells(result: Row) -> list[object]:
    """A row of the table."""

    def share(name: str) -> str:
        score = result["scores"].get(name)
        return "" if score is None else f"{score['value']:.1%} ({score['low']:.1%} to {score['high']:.1%})"

    names = ("pair_tar_at_far_1", "pair_equal_error_rate", "pair_far_of_threshold")
    facts = [result["gallery"], result["adapter"], result["pictures"]]
    return [*facts, *common.accuracy_cells(result), *map(share, names)]


def main() -> None:
    """Measure and publish."""
    parser = common.arguments(__doc__, "gallery_groceries")
    parser.add_argument("data", type=Path, help="a folder with train, test and iconic")
    options = parser.parse_args()
    from diptych import Images

    train, test, iconic = (Images.open(options.data / part) for part in ("train", "test", "iconic"))
    results = rows(train, test, iconic)
    columns = ["gallery of", "adapter", "pictures", *common.ACCURACY, "TAR at FAR 1 %", "equal error rate"]
    lines = common.table([*columns, "FAR of the gallery's threshold for 1 %"], map(cells, results))
    about = (
        "Embedded by lite0 as it is. The last three columns are of pairs of test pictures, with intervals from "
        "resampling the kinds; the threshold was measured on the gallery's pictures, which one picture a kind does not "
        "allow."
    )
    command = shlex.join(["python", "benchmarks/gallery_groceries.py", options.data.name])
    machine = measure.hardware("torch", "lancedb")
    common.publish(options.out, "Matching groceries", about, lines, command, machine=machine, runs=results)


if __name__ == "__main__":
    main()
