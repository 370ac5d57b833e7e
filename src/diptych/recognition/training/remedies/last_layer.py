"""Heads fitted to group-balanced pictures: every cell counts the same, however many pictures it has."""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.engine.loader import balanced_rows
from diptych.recognition.training.remedies.cells import Cells
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LinearHead, LogisticRegression

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
HALVINGS = 3  # by which they are compared
DRAWS = 10  # of group-balanced pictures, over which the last layer is averaged
Numbers = NDArray[np.int64]


def balanced_head(training: LabelledFeatures, cells: Cells, classes: int, seed: int) -> LinearHead:
    """A head fitted to as many pictures as there are, drawn evenly over the cells; those of rare ones are repeated."""
    rows = balanced_rows(cells.numbers, len(cells.numbers), torch.Generator().manual_seed(seed))
    penalty = _penalty(training, cells, classes, seed)
    return LogisticRegression(training[torch.from_numpy(rows)], classes).fit(penalty)


def retrained_head(training: LabelledFeatures, cells: Cells, classes: int, seed: int) -> LinearHead:
    """Deep feature reweighting: the mean of heads, each fitted to as many pictures of each cell as the rarest has.

    P. Kirichenko, P. Izmailov, A. G. Wilson, "Last layer re-training is sufficient for robustness to spurious
    correlations", ICLR 2023, section 4.
    """
    penalty = _penalty(training, cells, classes, seed)
    count = len(cells.names) * int(cells.counts.min())
    heads = []
    for draw in range(DRAWS):
        rows = balanced_rows(cells.numbers, count, torch.Generator().manual_seed(seed + 1 + draw))
        heads.append(LogisticRegression(training[torch.from_numpy(rows)], classes).fit(penalty))
    return LinearHead(
        torch.stack([head.weight for head in heads]).mean(0), torch.stack([head.bias for head in heads]).mean(0)
    )


def _penalty(training: LabelledFeatures, cells: Cells, classes: int, seed: int) -> float:
    """The penalty whose heads, fitted to one half of the pictures, recognise the worst cell of the other half best."""
    scores = np.zeros(len(PENALTIES))
    for halving in range(HALVINGS):
        for rows, others in itertools.permutations(_halves(cells, seed + halving)):
            drawn = rows[balanced_rows(cells.numbers[rows], len(rows), torch.Generator().manual_seed(seed))]
            regression = LogisticRegression(training[torch.from_numpy(drawn)], classes)
            held_out = training[torch.from_numpy(others)]
            scores += [_worst_cell(regression.fit(p), held_out, cells.numbers[others]) for p in PENALTIES]
    return PENALTIES[int(scores.argmax())]


def _worst_cell(head: LinearHead, held_out: LabelledFeatures, numbers: Numbers) -> float:
    """The lowest accuracy of a cell."""
    correct = (head.logits(held_out.features).argmax(1) == held_out.labels).cpu().numpy()
    return float((np.bincount(numbers, correct) / np.bincount(numbers)).min())


def _halves(cells: Cells, seed: int) -> tuple[Numbers, Numbers]:
    """Rows of two halves of each cell."""
    order = np.random.default_rng(seed).permutation(len(cells.numbers))
    order = order[np.argsort(cells.numbers[order], kind="stable")]
    turn = np.arange(len(order)) - np.searchsorted(cells.numbers[order], cells.numbers[order])
    return order[turn % 2 == 0], order[turn % 2 == 1]
