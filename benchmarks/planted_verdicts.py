"""Planted cases for ``diptych verdict``: synthesizers of which it is known whether they help.

One samples real pictures that nobody else has ("secret"): it must be recommended. One repeats the training pictures
("repeats") and one makes noise ("noise"): neither may be. Digits of 8 px; each seed draws other pictures.

    python benchmarks/planted_verdicts.py WORK

Each case and seed is a verdict in a folder of WORK; the same command continues. Some minutes a verdict on one thread:
two of these commands with other seeds may run side by side, then one with all of them, which only reads, publishes.
"""

import sys
from pathlib import Path
from typing import Any, Self

import common
import measure
import numpy as np

from diptych import interplay
from diptych.data.images import Images
from diptych.data.training_digests import NONE, Digests, pack_digests, stored_digests
from diptych.interplay.verdict.answer import RECOMMENDED

SHARES = (0.08, 0.42, 0.5)  # PICTURES, the secret pool, TEST
EXPECTED = {"secret": True, "repeats": False, "noise": False}


class Secret:
    """Samples pictures of a pool that it does not show."""

    def __init__(self, pool: Images) -> None:
        self.pool = pool
        self.classes_ = pool.classes
        self.training_digests: Digests = NONE

    def sample(self, n: int, *, label: str | None = None, seed: int = 0) -> Images:
        """Pictures of the class in random order, again from the start where there are too few."""
        rows = np.flatnonzero(self.pool.labels == self.classes_.index(label))
        return self.pool[np.resize(np.random.default_rng(seed).permutation(rows), n)]


class Repeats(Secret):
    """Samples the pictures that it was trained on, which it admits to have seen."""

    def __init__(self, pool: Images) -> None:
        super().__init__(pool)
        self.training_digests = stored_digests({"digests": pack_digests(pool)})

    def fit(self, images: Images) -> Self:
        """One that repeats these."""
        return type(self)(images)


class Noise(Secret):
    """Makes noise of the size of its pool's pictures."""

    def sample(self, n: int, *, label: str | None = None, seed: int = 0) -> Images:
        """Uniform in every pixel and colour."""
        height, width, _ = self.pool.picture(0).shape
        return Images.from_arrays(np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), np.uint8))


def planted(seed: int) -> tuple[Images, Images, dict[str, Secret]]:
    """PICTURES, TEST, and the planted synthesizers by name."""
    pictures, pool, test = Images.open("digits").split(*SHARES, seed=seed)
    return pictures, test, {"secret": Secret(pool), "repeats": Repeats(pictures), "noise": Noise(pool)}


def answer(name: str, seed: int, work: Path) -> dict[str, Any]:
    """The verdict on one planted synthesizer: whether it is recommended, and the gain of the generated pictures."""
    pictures, test, synthesizers = planted(seed)
    report = interplay.verdict(pictures, synthesizers[name], test=test, into=work / f"{name}-{seed}", seed=seed)
    row = {"case": name, "seed": seed, "recommended": report.verdict.word == RECOMMENDED}
    print({**row, "sentence": report.verdict.sentence}, file=sys.stderr, flush=True)
    return {**row, "sentence": report.verdict.sentence}


def main() -> None:
    parser = common.arguments(__doc__, "planted_verdicts")
    parser.add_argument("work", type=Path, help="the folder of the verdicts")
    parser.add_argument("--case", choices=EXPECTED, action="append", help="one of the synthesizers alone")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    seeds, chosen = range(args.first, args.first + args.seeds), args.case or EXPECTED
    rows = [answer(name, seed, args.work) for name in chosen for seed in seeds]
    lines = []
    for name in chosen:
        answers = [row["recommended"] for row in rows if row["case"] == name]
        right = sum(each == EXPECTED[name] for each in answers)
        lines.append([name, "must be" if EXPECTED[name] else "must not be", sum(answers), f"{right} of {len(answers)}"])
    table = common.table(["synthesizer", "recommended", "was in", "right"], lines)
    each = common.table(["synthesizer", "seed", "verdict"], [[r["case"], r["seed"], r["sentence"]] for r in rows])
    about = " ".join((__doc__ or "").split("\n\n")[1].split())
    common.publish(
        args.out,
        "Planted synthesizers and the verdict on them",
        about,
        [*table, "", *each],
        "python benchmarks/planted_verdicts.py work" + "".join(f" --case {name}" for name in args.case or ()),
        machine=measure.hardware("torch", "numpy", "scikit-learn"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
