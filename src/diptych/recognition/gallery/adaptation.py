"""Is an adapter worth having? Tried on held-out pictures, of labels that it saw and of labels that it never did."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diptych.metrics.mcnemar import mcnemar
from diptych.recognition.gallery.adapter import Adapter
from diptych.recognition.gallery.labelled_vectors import LabelledVectors
from diptych.recognition.gallery.voting import NEIGHBOURS, Votes

FOLDS = 5
SHARPNESS = 20.0  # of the vote, while they are compared
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """How many held-out pictures are matched right, plain and adapted.

    Attributes
    ----------
    pictures
        That were matched.
    plain, adapted
        How many of them rightly.
    p_value
        Of so large a difference by chance (McNemar).
    """

    pictures: int
    plain: int
    adapted: int
    p_value: float

    @classmethod
    def of(cls, plain: Tensor, adapted: Tensor) -> "Comparison":
        """Of (N,) bool each: whether the picture was matched right."""
        p = mcnemar(int((adapted & ~plain).sum()), int((plain & ~adapted).sum()))
        return cls(len(plain), int(plain.sum()), int(adapted.sum()), p)

    @property
    def worse(self) -> bool:
        """Whether the adapter does worse than chance explains."""
        return self.adapted < self.plain and self.p_value < SIGNIFICANCE

    def __str__(self) -> str:
        return f"{self.adapted / self.pictures:.1%} instead of {self.plain / self.pictures:.1%}"


@dataclass(frozen=True)
class AdapterTrial:
    """An adapter that was tried.

    Attributes
    ----------
    adapter
        Learned from all pictures; ``None``: it is not worth having.
    sentence
        What was found.
    """

    adapter: Adapter | None
    sentence: str


def try_adapter(pictures: LabelledVectors) -> AdapterTrial:
    """Try an adapter on a gallery's pictures."""
    seen = _of_seen_labels(pictures) if pictures.teaches() else None
    if seen is None:
        return AdapterTrial(None, "No adapter: it needs two labels of two pictures or more.")
    unseen = _of_unseen_labels(pictures)
    found = f"right on held-out pictures: {seen}" + (f"; of labels that it never saw: {unseen}" if unseen else "")
    if seen.adapted <= seen.plain or (unseen is not None and unseen.worse):
        return AdapterTrial(None, f"The adapter is not kept ({found}).")
    adapter = Adapter.fit(pictures.vectors, pictures.renumbered(), pictures.names)
    return AdapterTrial(adapter, f"The adapter is kept ({found}).")


def _of_seen_labels(pictures: LabelledVectors) -> Comparison | None:
    """Each fifth of the series matched with the others; ``None`` with too few pictures."""
    results: list[tuple[Tensor, Tensor]] = []
    for fold in range(FOLDS):
        held_out = pictures.series % FOLDS == fold
        if pictures[~held_out].teaches() and held_out.any():
            adapter = _learned(pictures[~held_out])
            rows = held_out.nonzero()[:, 0]
            results.append((_right(pictures, rows, None), _right(pictures, rows, adapter)))
    return _compared(results)


def _of_unseen_labels(pictures: LabelledVectors) -> Comparison | None:
    """Half of the labels by an adapter that learned from the other half; ``None`` with too few labels."""
    results: list[tuple[Tensor, Tensor]] = []
    for half in range(2):
        tried = pictures[pictures.labels % 2 == half]
        others = pictures[pictures.labels % 2 != half]
        if not tried.teaches() or not others.teaches():
            return None
        rows = torch.arange(len(tried))
        results.append((_right(tried, rows, None), _right(tried, rows, _learned(others))))
    return _compared(results)


def _learned(pictures: LabelledVectors) -> Adapter:
    return Adapter.fit(pictures.vectors, pictures.renumbered())


def _compared(results: list[tuple[Tensor, Tensor]]) -> Comparison | None:
    if not results:
        return None
    plain, adapted = zip(*results, strict=True)
    return Comparison.of(torch.cat(plain), torch.cat(adapted))


def _right(pictures: LabelledVectors, rows: Tensor, adapter: Adapter | None) -> Tensor:
    """(n,) whether the pictures at these rows are matched right by those of other series."""
    space = pictures if adapter is None else pictures.with_vectors(adapter(pictures.vectors))
    return torch.cat(
        [
            torch.from_numpy(Votes(space.labels[near].numpy(), similarities.numpy()).winners(SHARPNESS))
            == space.labels[probes]
            for probes, similarities, near in space.nearest(rows, NEIGHBOURS)
        ]
    )
