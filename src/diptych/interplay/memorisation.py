"""Whether generated pictures copy training pictures: the verdict, the counts, and the pairs to look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.provenance import generated_facts
from diptych.engine import machine
from diptych.interplay.budget import COPIES_SHARE, Budget
from diptych.interplay.inputs import RealInput
from diptych.marks import Generated
from diptych.metrics.intervals import difference_interval
from diptych.metrics.memorisation import (
    MAX_SIDE,
    SUFFICIENT_REAL,
    CopyThreshold,
    NearestMatches,
    TrainingPictures,
    copy_threshold,
    is_copy,
    more_copies_than_chance,
    nearest_training,
)
from diptych.metrics.selective_prediction import auroc, auroc_interval
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Caption, Report, Score, Table, figures
from diptych.synthesis.datasets import random_subset

MAX_PAIRS_SHOWN = 12
MAX_ROWS = 200  # of the table of copies
MANY = 0.01  # share of copies that counts as many where there are no held-out pictures to compare it with
MUCH_NEARER = 0.6  # how often a generated picture is nearer than a held-out real one from which on it is reported
VERDICTS = {
    "clean": "No generated picture copies a training picture, as far as this check can show.",
    "look": "A few generated pictures are as near to training pictures as copies are: look at the pairs.",
    "copies": "Generated pictures copy training pictures. Do not publish them unchecked; train for fewer epochs, or on "
    "more pictures.",
}


@dataclass(frozen=True)
class CopyAudit:
    """Result of :func:`audit_copies`.

    Attributes
    ----------
    verdict
        "clean", "look" or "copies".
    images
        The generated pictures that were searched.
    matches, held_out
        Nearest matches of the generated pictures, and of held-out real ones (``None``: there are none).
    threshold
        Below which a picture counts as a copy.
    share, held_out_share
        Share of copies among the generated pictures, and among the real ones.
    nearer
        How often a generated picture is nearer to a training picture than a held-out real one: 0.5 where they are
        alike.
    """

    verdict: str
    images: Images
    matches: NearestMatches
    held_out: NearestMatches | None
    threshold: CopyThreshold
    share: Score
    held_out_share: Score | None
    nearer: Score | None

    def json(self) -> dict[str, Any]:
        """All but the pairs."""
        scores = {"copies": self.share, "held_out": self.held_out_share, "nearer": self.nearer}
        return {
            "verdict": self.verdict,
            **{name: None if score is None else score.json() for name, score in scores.items()},
            "bounds": {"distance": self.threshold.distance, "ratio": self.threshold.ratio},
            "calibrated": self.threshold.calibrated,
        }


def audit_copies(generated: Images, real: RealInput, budget: Budget) -> CopyAudit | None:
    """Search for copies, as far as there is time; ``None`` where the training pictures are not known."""
    if real.training is None or not len(real.training):
        return None
    side = min(MAX_SIDE, int(generated.dimensions()[0, 0]))
    training = TrainingPictures(_resized(real.training, side))
    most = max(len(generated), len(real.images), SUFFICIENT_REAL)
    affordable = budget.affordable(
        most, COPIES_SHARE, lambda n: nearest_training(_resized(generated[:n], side), training), times=3
    )
    if affordable < len(generated):
        budget.left_out.append(f"searching more than {affordable:,} of {len(generated):,} pictures for copies")
    generated = random_subset(generated, affordable, 0)
    matches = nearest_training(_resized(generated, side), training)
    unseen = random_subset(real.images, affordable, 0)
    held_out = nearest_training(_resized(unseen, side), training) if real.held_out else None
    threshold = copy_threshold(training, held_out, min(SUFFICIENT_REAL, affordable))
    n, hits = len(generated), int(is_copy(matches, threshold).sum())
    share = share_score(hits, n)
    many, held_out_share, nearer = share.value > MANY, None, None
    if held_out is not None:
        real_n, real_hits = len(held_out.distance), int(is_copy(held_out, threshold).sum())
        many = difference_interval(hits, n, real_hits, real_n)[0] > 0
        held_out_share = share_score(real_hits, real_n)
        distances = (held_out.distance, matches.distance)
        nearer = Score(auroc(*distances), *auroc_interval(*distances), n)
    verdict = ("copies" if many else "look") if more_copies_than_chance(matches, threshold) else "clean"
    return CopyAudit(verdict, generated, matches, held_out, threshold, share, held_out_share, nearer)


def add_copies(report: Report, audit: CopyAudit | None, training: Images | None) -> None:
    """Add the result of the search to a report."""
    if audit is None or training is None:
        report.findings.append(
            "Copies could not be checked: the training pictures are not known. Name them with --seen (in Python: "
            "seen=)."
        )
        return
    report.scores["copies"] = audit.share
    report.findings.append(VERDICTS[audit.verdict])
    if audit.verdict == "clean" and audit.share.value:
        report.findings.append(
            "A few lie within the copy thresholds, as real pictures do by chance; look at the pairs."
        )
    if not audit.threshold.calibrated:
        report.findings.append("Copy thresholds are fixed: there were too few real pictures to compute them from.")
    if audit.nearer is not None and audit.nearer.low is not None and audit.nearer.low > MUCH_NEARER:
        report.findings.append(
            "A generated picture is nearer to the training set than a held-out real picture is "
            f"{audit.nearer.value:.0%} of the time (50 % is expected of equal ones): the samples keep close to the "
            "training set, or show its plainest part."
        )
    _add_pairs(report, audit, training)


def _add_pairs(report: Report, audit: CopyAudit, training: Images) -> None:
    """A table of the copies and a figure of the nearest pairs, copies before others."""
    generated, matches = audit.images, audit.matches
    copies = is_copy(matches, audit.threshold)
    order = (matches.distance + 10 * (~copies)).argsort()
    rows = order[: min(MAX_ROWS, int(copies.sum()))].tolist()
    if rows:
        columns = ["generated picture", "training picture", "distance", "ratio", "mirrored"]
        report.tables["Copies"] = Table(columns, [_table_row(matches, row, generated, training) for row in rows])
    shown = (rows or order[: MAX_PAIRS_SHOWN // 2].tolist())[:MAX_PAIRS_SHOWN]
    size = int(generated.dimensions()[0, 0])
    pictures: list[NDArray[np.uint8]] = []
    captions: list[Caption] = []
    marks: list[Generated | None] = []
    for row in shown:
        match = training[[int(matches.row[row])]]
        pictures += [generated.picture(row), match.pixels(size, "crop")[0].permute(1, 2, 0).numpy()]
        marks += [generated_facts(generated, row) or Generated("synthetic"), generated_facts(match, 0)]
        mirrored = ", mirrored" if matches.mirrored[row] else ""
        captions += [("generated", f"distance {float(matches.distance[row]):.2f}"), f"training{mirrored}"]
    title = _pairs_title(audit, any_copies=bool(rows))
    report.figures[title] = figures.gallery(pictures, captions, group=2, generated=marks)


def _table_row(matches: NearestMatches, row: int, generated: Images, training: Images) -> list[Any]:
    return [
        str(generated.paths[row]),
        str(training.paths[int(matches.row[row])]),
        float(matches.distance[row]),
        float(matches.ratio[row]),
        bool(matches.mirrored[row]),
    ]


def _pairs_title(audit: CopyAudit, *, any_copies: bool) -> str:
    if not any_copies:
        return "Nearest pairs: none counts as a copy"
    if audit.verdict == "clean":
        return "Nearest pairs: some count as copies by chance"
    return "Copies and the training pictures that they copy"


def _resized(images: Images, side: int) -> Tensor:
    """(N, 3, side, side) uint8, on the device that compares fastest."""
    device = machine.device()
    return images.pixels(side, "crop").to(device if device.type == "cuda" else torch.device("cpu"))
