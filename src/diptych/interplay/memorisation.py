"""Whether made pictures copy training pictures: the verdict, the counts, and the pairs to look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.engine import machine
from diptych.interplay.inputs import RealInput
from diptych.metrics.intervals import difference, wilson
from diptych.metrics.memorisation import (
    LARGEST_SIDE,
    CopyThreshold,
    NearestMatches,
    TrainingPictures,
    copy_threshold,
    is_copy,
    more_copies_than_chance,
    nearest_training,
)
from diptych.metrics.selective import auroc, auroc_interval
from diptych.report import Report, Score, Table, figures

PAIRS = 12  # shown
LISTED = 200
MANY = 0.01  # share of copies, where there is none of unseen pictures to compare it with
MUCH_NEARER = 0.6  # how often a made picture lies nearer to a training picture than a real one does, before it is told
VERDICTS = {
    "clean": "No made picture copies a training picture, as far as this can tell.",
    "look": "A few made pictures come as near to training pictures as copies do: look at the pairs.",
    "copies": "Made pictures copy training pictures. Do not publish them unchecked; train for fewer epochs, or on more "
    "pictures.",
}


@dataclass(frozen=True)
class CopyAudit:
    """What was found.

    Attributes
    ----------
    verdict
        "clean", "look" or "copies".
    found, held_out
        Matches of the made pictures, and of real ones that were not trained on (``None``: there were none).
    limit
        Under which a picture counts as a copy.
    share, held_share
        Of the made pictures that do, and of the real ones.
    nearer
        How often a made picture lies nearer to a training picture than a real one that was not trained on: 0.5 where
        they are alike.
    """

    verdict: str
    found: NearestMatches
    held_out: NearestMatches | None
    limit: CopyThreshold
    share: Score
    held_share: Score | None
    nearer: Score | None

    def json(self) -> dict[str, Any]:
        """All but the pairs."""
        told = {"verdict": self.verdict, "copies": self.share, "held_out": self.held_share, "nearer": self.nearer}
        scores = {name: value.json() if isinstance(value, Score) else value for name, value in told.items()}
        return {**scores, "bounds": {"distance": self.limit.distance, "ratio": self.limit.ratio},
                "calibrated": self.limit.calibrated}  # fmt: skip


def audit_copies(made: Images, sides: RealInput) -> CopyAudit | None:
    """Look for copies; ``None`` where the training pictures are not known."""
    if sides.training is None or not len(sides.training):
        return None
    side = min(LARGEST_SIDE, int(made.dimensions()[0, 0]))
    training = TrainingPictures(_small(sides.training, side))
    found = nearest_training(_small(made, side), training)
    held_out = nearest_training(_small(sides.images, side), training) if sides.unseen else None
    limit = copy_threshold(training, held_out)
    n, hits = len(made), int(is_copy(found, limit).sum())
    share = Score(hits / n, *wilson(hits, n), n)
    many, held, nearer = share.value > MANY, None, None
    if held_out is not None:
        real_n, real_hits = len(held_out.distance), int(is_copy(held_out, limit).sum())
        many = difference(hits, n, real_hits, real_n)[0] > 0
        held = Score(real_hits / real_n, *wilson(real_hits, real_n), real_n)
        apart = (held_out.distance, found.distance)
        nearer = Score(auroc(*apart), *auroc_interval(*apart), n)
    verdict = ("copies" if many else "look") if more_copies_than_chance(found, limit) else "clean"
    return CopyAudit(verdict, found, held_out, limit, share, held, nearer)


def add_copies(report: Report, copied: CopyAudit | None, made: Images, training: Images | None) -> None:
    """Tell of it in a report."""
    if copied is None or training is None:
        report.findings.append(
            "Whether pictures were copied could not be checked: the pictures that were learned from are not known. "
            "Name them with --seen (in Python: seen=)."
        )
        return
    report.scores["copies"] = copied.share
    report.findings.insert(0, VERDICTS[copied.verdict])
    if copied.verdict == "clean" and copied.share.value:
        report.findings.insert(
            1,
            "A few come within the bounds of a copy, as of so many real pictures some do by chance; look at the pairs.",
        )
    if not copied.limit.calibrated:
        report.findings.append(
            "There were too few real pictures to say how near one comes to another by chance; fixed bounds were taken "
            "for copies."
        )
    if copied.nearer is not None and copied.nearer.low is not None and copied.nearer.low > MUCH_NEARER:
        report.findings.append(
            "Of a made and a real, unseen picture the made one lies nearer to a training picture "
            f"{copied.nearer.value:.0%} of the time (50 % were alike): they keep close to what was learned from, or "
            "show the plainest of it."
        )
    _show(report, copied, made, training)


def _show(report: Report, copied: CopyAudit, made: Images, training: Images) -> None:
    flagged = is_copy(copied.found, copied.limit)
    # The nearest first, copies before others.
    order = (copied.found.distance + 10 * (~flagged)).argsort()
    rows = order[: min(LISTED, int(flagged.sum()))].tolist()
    columns = ["made", "training picture", "distance", "ratio", "mirrored"]
    listed = [
        [
            str(made.paths[row]),
            str(training.paths[int(copied.found.row[row])]),
            float(copied.found.distance[row]),
            float(copied.found.ratio[row]),
            bool(copied.found.mirrored[row]),
        ]
        for row in rows
    ]
    if listed:
        report.tables["Copies"] = Table(columns, listed)
    shown = (rows or order[: PAIRS // 2].tolist())[:PAIRS]
    size = int(made.dimensions()[0, 0])
    pictures: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for row in shown:
        match = int(copied.found.row[row])
        pictures += [made.picture(row), training[[match]].pixels(size, "crop")[0].permute(1, 2, 0).numpy()]
        turned = ", mirrored" if copied.found.mirrored[row] else ""
        captions += [f"made\ndistance {float(copied.found.distance[row]):.2f}", f"training{turned}"]
    title = "The nearest pairs; none counts as a copy"
    if rows:
        by_chance = copied.verdict == "clean"
        title = "The nearest pairs; some count as copies by chance" if by_chance else "Copies beside what they copy"
    report.figures[title] = figures.captioned(pictures, captions)


def _small(images: Images, side: int) -> Tensor:
    """(N, 3, side, side) uint8, on the device that compares fastest."""
    where = machine.device()
    return images.pixels(side, "crop").to(where if where.type == "cuda" else torch.device("cpu"))
