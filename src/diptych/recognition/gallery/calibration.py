"""How often a gallery is wrong: thresholds for stated false-accept rates, measured on its own pictures.

*Unknown*: what if a thing is shown that is in no picture? Each picture is matched against those of all other labels,
as if its own had never been enrolled; the familiarities of these matches say how often a threshold would take such a
thing for a known one. *Pairs*: the similarities of pictures of one label and of two. An adapter is learned anew without
the labels that it is tried on, or it would know them.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diptych.metrics.verification import ErrorRates, Pairs
from diptych.recognition.gallery.adapter import Adapter
from diptych.recognition.gallery.labelled_vectors import LabelledVectors
from diptych.recognition.gallery.pairs import labelled_pairs
from diptych.recognition.gallery.thresholds import Calibration, Threshold
from diptych.recognition.gallery.voting import NEIGHBOURS, SHARPNESSES, Votes

FALSE_ACCEPT_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
MAX_PROBES = 2000  # pictures that are matched with all others
LABEL_FOLDS = 10
Map = Callable[[Tensor], Tensor]


def calibrate(pictures: LabelledVectors, count: int, adapter: Adapter | None) -> Calibration:
    """Measure a gallery of ``count`` pictures, of which these are known, as it is or adapted."""
    labels = pictures.label_count()
    folds = _folds(pictures, adapter) if labels > 1 else []
    if not folds:
        return Calibration(count, labels)
    probes = torch.arange(0, len(pictures), max(1, len(pictures) // MAX_PROBES))
    space = adapter or _unchanged
    known = _votes(pictures.with_vectors(space(pictures.vectors)), probes)
    sharpness = max(SHARPNESSES, key=lambda value: known.log_likelihood(pictures.labels[probes].numpy(), value))
    right = torch.from_numpy(known.winners(sharpness)) == pictures.labels[probes]
    strange = [
        _votes(pictures.with_vectors(map_(pictures.vectors)), rows[:: max(1, 2 * len(rows) // MAX_PROBES)], others=True)
        for map_, rows in folds
    ]
    impostor = torch.from_numpy(np.concatenate([votes.familiarity(sharpness) for votes in strange]))
    return Calibration(
        count,
        labels,
        sharpness,
        _match_thresholds(torch.from_numpy(known.familiarity(sharpness)), right, impostor),
        _pair_thresholds(_pairs(pictures, folds)),
    )


def _unchanged(vectors: Tensor) -> Tensor:
    return vectors


def _folds(pictures: LabelledVectors, adapter: Adapter | None) -> list[tuple[Map, Tensor]]:
    """A map, and the rows of the labels that it was learned without; all rows where there is no adapter.

    Where most labels came after the adapter was learned, it is measured on these; else others like it are.
    """
    if adapter is None:
        return [(_unchanged, torch.arange(len(pictures)))]
    names = torch.unique(pictures.labels)
    later = torch.tensor([number for number in names.tolist() if pictures.names[number] not in adapter.labels])
    if 2 * len(later) > len(names):
        return [(adapter, torch.isin(pictures.labels, later).nonzero()[:, 0])]
    folds: list[tuple[Map, Tensor]] = []
    for fold in range(min(LABEL_FOLDS, len(names))):
        tried = torch.isin(pictures.labels, names[fold::LABEL_FOLDS])
        others = pictures[~tried]
        if others.teaches():
            folds.append((Adapter.fit(others.vectors, others.renumbered()), tried.nonzero()[:, 0]))
    return folds


def _votes(pictures: LabelledVectors, probes: Tensor, *, others: bool = False) -> Votes:
    """The votes for pictures by their rows, by pictures of other series or of other labels."""
    parts = [part[1:] for part in pictures.nearest(probes, NEIGHBOURS, of_other_labels=others)]
    similarities, rows = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return Votes(pictures.labels[rows].numpy(), similarities.numpy())


def _pairs(pictures: LabelledVectors, folds: list[tuple[Map, Tensor]]) -> Pairs:
    """The pairs within each fold of labels, in the space that was made without them."""
    parts = [
        labelled_pairs(pictures[rows].with_vectors(map_(pictures.vectors[rows])), share=1 / len(folds))
        for map_, rows in folds
    ]
    return Pairs.join(parts)


def _match_thresholds(familiarity: Tensor, right: Tensor, impostor: Tensor) -> tuple[Threshold, ...]:
    """``tar`` counts pictures that are accepted and matched right."""
    rates = ErrorRates.of_scores(familiarity[right], impostor)
    share = float(right.double().mean())
    return tuple(Threshold(row.far, row.value, row.tar * share) for row in _measurable(rates, len(impostor)))


def _pair_thresholds(pairs: Pairs) -> tuple[Threshold, ...]:
    return _measurable(ErrorRates.of(pairs), len(pairs.impostor))


def _measurable(rates: ErrorRates, count: int) -> tuple[Threshold, ...]:
    """One threshold for each rate that lets at least one impostor pass, and something that is to be accepted."""
    thresholds = [Threshold(far, *rates.at_far(far)) for far in FALSE_ACCEPT_RATES if far * count >= 1]
    return tuple(threshold for threshold in thresholds if threshold.tar > 0)
