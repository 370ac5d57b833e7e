"""The remedy of a run, and what it brought on the validation pictures, group by group."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.networks import Network
from diptych.recognition.settings import BALANCED, GROUP_DRO, LAST_LAYER
from diptych.recognition.training.remedies.cells import Cells
from diptych.recognition.training.remedies.group_dro import group_dro_head
from diptych.recognition.training.remedies.last_layer import balanced_head, retrained_head
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LinearHead
from diptych.report import Report, Score, Table

TABLE = "Accuracy of each class in each group, on validation"
WORST_GROUP = "worst_group_accuracy"
MIN_PICTURES = 5  # of a cell on validation, to be the worst


@dataclass(frozen=True)
class Remedy:
    """A remedy and the pictures that it is applied to.

    Attributes
    ----------
    name
        One of the choices of the setting ``remedy``.
    column
        The metadata column of the groups.
    cells
        Of the pictures that the network is trained on.
    rows
        Of these pictures among all for training.
    refit, refit_cells
        The others, held out for the last layer, and their cells; ``None``: it is not refitted.
    """

    name: str
    column: str
    cells: Cells
    rows: NDArray[np.int64]
    refit: Images | None = None
    refit_cells: Cells | None = None

    @property
    def evens_batches(self) -> bool:
        """Whether the network sees every cell equally often."""
        return self.name in (BALANCED, GROUP_DRO)


def remedied_head(name: str, training: LabelledFeatures, cells: Cells, classes: int, seed: int) -> LinearHead:
    """The head of a remedy for features that are not trained."""
    if name == GROUP_DRO:
        return group_dro_head(training, cells, classes)
    return (retrained_head if name == LAST_LAYER else balanced_head)(training, cells, classes, seed)


def prepare(name: str | None, column: str | None, training: Images, network: Network, *, seed: int) -> Remedy | None:
    """The remedy of a run; features that are trained leave some pictures to refit the last layer on.

    Raises
    ------
    UsageError
        The last layer is to be refitted, and the network's cannot be set.
    """
    if name is None or column is None:
        return None
    if name == LAST_LAYER and not isinstance(getattr(network, "head", None), nn.Linear):
        raise UsageError(
            "This network has no linear last layer that can be set. Choose the remedy balanced or group-dro."
        )
    cells = Cells.of(training, column)
    if name != LAST_LAYER or network.pretrained:
        return Remedy(name, column, cells, np.arange(len(training)))
    rows, held_out = cells.hold_out(seed)
    return Remedy(name, column, cells.rows(rows), rows, training[held_out], cells.rows(held_out))


@dataclass(frozen=True)
class Outcome:
    """The accuracy of each cell of the validation pictures after a remedy, and before it where that is known."""

    remedy: Remedy
    names: tuple[str, ...]
    after: list[Score]
    before: list[Score] | None

    @classmethod
    def measure(cls, remedy: Remedy, validation: Images, after: Tensor, before: Tensor | None) -> "Outcome | None":
        """Measure it by (N, K) logits; ``None`` where the validation pictures have no such column."""
        if remedy.column not in validation.groups:
            return None
        cells = Cells.of(validation, remedy.column)
        targets = torch.from_numpy(validation.labels.copy())

        def scores(logits: Tensor) -> list[Score]:
            correct = (logits.argmax(1) == targets).numpy()
            hits, counts = np.bincount(cells.numbers, correct), cells.counts
            return [share_score(int(h), int(n)) for h, n in zip(hits, counts, strict=True)]

        return cls(remedy, cells.names, scores(after), None if before is None else scores(before))

    def worst(self, scores: list[Score]) -> Score:
        """The lowest accuracy among the cells with pictures enough to count; of all, where none has."""
        enough = [score for score in scores if score.n >= MIN_PICTURES]
        return min(enough or scores, key=lambda score: score.value)

    def note(self) -> str:
        """A sentence for the report."""
        after = self.worst(self.after)
        start = f"Remedy {self.remedy.name} by {self.remedy.column}: the worst group on validation has"
        if self.before is None:
            return f"{start} {after} of {after.n} right. To compare, fit without it."
        before = self.worst(self.before)
        return f"{start} {after} of {after.n} right; without the remedy it was {before} of {before.n}."

    def table(self) -> Table:
        """All cells."""
        columns = ["", "pictures", *(["before"] if self.before else []), "after"]
        rows: list[list[Any]] = [
            [name, score.n, *([self.before[i]] if self.before else []), score]
            for i, (name, score) in enumerate(zip(self.names, self.after, strict=True))
        ]
        return Table(columns, rows)


def add_outcome(report: Report, outcome: Outcome) -> None:
    """Add the worst group's accuracy as a score of the report."""
    report.scores[WORST_GROUP] = outcome.worst(outcome.after)
