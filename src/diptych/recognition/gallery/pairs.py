"""Pairs of labelled pictures, of one label and of two, to measure verification on."""

import torch
from torch import Tensor

from diptych.metrics.verification import Pairs
from diptych.recognition.gallery.labelled_vectors import LabelledVectors

MAX_PAIRS = 50_000  # of one label, and of two; more would not narrow intervals, which resample labels
BATCH = 8192


def labelled_pairs(pictures: LabelledVectors, *, share: float = 1.0, seed: int = 0) -> Pairs:
    """All pairs of pictures, or some drawn at random; two of one series are no pair.

    Parameters
    ----------
    share
        Of :data:`MAX_PAIRS`, that are drawn at most.
    """
    generator = torch.Generator().manual_seed(seed)
    limit = int(MAX_PAIRS * share)
    one, other = _of_one_label(pictures, limit, generator)
    first, second = _of_two_labels(pictures.labels, limit, generator)
    return Pairs(
        _similarities(pictures.vectors, one, other),
        pictures.labels[one],
        _similarities(pictures.vectors, first, second),
        torch.stack([pictures.labels[first], pictures.labels[second]], 1),
    )


def _of_one_label(pictures: LabelledVectors, limit: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows of pairs; of a label with many pictures only some, so that all labels count."""
    names = torch.unique(pictures.labels)
    side = 2 + int((2 * limit / max(1, len(names))) ** 0.5)
    firsts, seconds = [], []
    for name in names:
        rows = (pictures.labels == name).nonzero()[:, 0]
        first, second = _pairs_of(rows[torch.randperm(len(rows), generator=generator)[:side]])
        different = pictures.series[first] != pictures.series[second]
        firsts.append(first[different])
        seconds.append(second[different])
    return torch.cat(firsts), torch.cat(seconds)


def _of_two_labels(labels: Tensor, limit: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    drawn = torch.randperm(len(labels), generator=generator)[: 2 + int((2 * limit) ** 0.5)]
    first, second = _pairs_of(drawn)
    different = labels[first] != labels[second]
    return first[different], second[different]


def _pairs_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    return rows[first], rows[second]


def _similarities(vectors: Tensor, first: Tensor, second: Tensor) -> Tensor:
    batches = zip(torch.split(first, BATCH), torch.split(second, BATCH), strict=True)
    return torch.cat([torch.empty(0), *((vectors[i] * vectors[j]).sum(1) for i, j in batches)])
