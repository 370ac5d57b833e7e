"""Planted cases for ``diptych verdict``: synthesizers of which it is known whether they help.

One samples real pictures that nobody else has ("secret"): it must be recommended. One repeats the training pictures
("repeats") and one makes noise ("noise"): neither may be. Digits of 8 px; each seed draws other pictures.

    python benchmarks/planted_verdicts.py WORK [--seeds 10]

Each case and seed is a verdict in the folder WORK; the same command continues. Prints a line for each, then a table of
how often the answer was right.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Self

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


def cases(work: Path, seeds: int) -> Iterator[tuple[str, int, bool]]:
    """(case, seed, whether it was recommended)."""
    for seed in range(seeds):
        pictures, test, synthesizers = planted(seed)
        for name, synthesizer in synthesizers.items():
            folder = work / f"{name}-{seed}"
            report = interplay.verdict(pictures, synthesizer, test=test, into=folder, seed=seed)
            print(f"{name}, seed {seed}: {report.verdict.sentence}", flush=True)
            yield name, seed, report.verdict.word == RECOMMENDED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    right: dict[str, list[bool]] = {name: [] for name in EXPECTED}
    for name, _, recommended in cases(arguments.work, arguments.seeds):
        right[name].append(recommended == EXPECTED[name])
    print("\n| case | recommended? | right |\n|---|---|---|")
    for name, hits in right.items():
        print(f"| {name} | {'must be' if EXPECTED[name] else 'must not be'} | {sum(hits)} of {len(hits)} |")


if __name__ == "__main__":
    main()
