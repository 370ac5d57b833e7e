"""Label errors: how many of the labels that are swapped `inspect` finds, and how many of those it lists are swapped.

Of each folder 5 % of the labels are given another class's name, drawn anew for each seed; the search by the features
of the built-in backbone runs as in `diptych inspect`. A listed label that was not swapped counts as wrongly listed,
though some of them are errors that the folder came with.

    python benchmarks/label_errors.py cats-dogs groceries/train
"""

import shlex
import time
from pathlib import Path
from typing import Any

import common
import measure
import numpy as np
from common import Row

SHARE = 0.05  # of the labels is swapped


def swapped(images: Any, seed: int) -> tuple[Any, set[int]]:
    """The pictures with swapped labels, and which."""
    from diptych.data.combine import with_labels

    rng = np.random.default_rng(seed)
    labels = images.labels.copy()
    rows = rng.choice(len(labels), round(SHARE * len(labels)), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, len(images.classes), len(rows))) % len(images.classes)
    return with_labels(images, labels, images.classes), set(rows.tolist())


def measure_folder(folder: Path, seeds: int) -> list[Row]:
    """Embed the pictures once, and search them with each seed's swapped labels."""
    from diptych import Images
    from diptych.recognition.inference.embedder import Embedder
    from diptych.recognition.label_errors import search_by_features

    images, embedder = Images.open(folder), Embedder.from_backbone("lite0")
    start = time.perf_counter()
    features = np.concatenate([batch.numpy() for batch in embedder.batches(images)])
    embedding = time.perf_counter() - start
    rows = []
    for seed in range(seeds):
        with_errors, errors = swapped(images, seed)
        start = time.perf_counter()
        search = search_by_features(with_errors, features, embedder.name, 0)
        listed = {issue.row for issue in search.issues}
        rows.append({
            "folder": folder.name if folder.name != "train" else folder.parent.name,
            "seed": seed,
            "n": len(images),
            "swapped": len(errors),
            "listed": len(listed),
            "found": len(listed & errors),
            "embedding_seconds": embedding,
            "search_seconds": time.perf_counter() - start,
        })  # fmt: skip
    return rows


def table(rows: list[Row]) -> list[str]:
    """The rows as a Markdown table."""
    columns = ["folder", "pictures", "seed", "swapped", "found", "recall", "listed", "precision", "seconds"]
    return common.table(columns, [[
        *(row[name] for name in ("folder", "n", "seed", "swapped", "found")),
        f"{row['found'] / row['swapped']:.1%}",
        row["listed"],
        f"{row['found'] / max(1, row['listed']):.1%}",
        f"{row['embedding_seconds'] + row['search_seconds']:.0f}",
    ] for row in rows])  # fmt: skip


def main() -> None:
    parser = common.arguments(__doc__, "label_errors")
    parser.add_argument("folders", type=Path, nargs="+", help="photographs in class folders")
    parser.add_argument("--seeds", type=int, default=3, help="number of draws of the swapped labels, seeds 0, 1, …")
    args = parser.parse_args()
    rows = [row for folder in args.folders for row in measure_folder(folder, args.seeds)]
    names = [folder.name if folder.name != "train" else f"{folder.parent.name}/train" for folder in args.folders]
    common.publish(
        args.out,
        "Label errors",
        " ".join((__doc__ or "").split("\n\n")[1].split()),
        table(rows),
        shlex.join(["python", "benchmarks/label_errors.py", *names, "--seeds", str(args.seeds)]),
        machine=measure.hardware("torch", "scikit-learn", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
