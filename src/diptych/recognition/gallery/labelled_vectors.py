"""A gallery's pictures as its measurements see them: vectors with labels, and which of them show the same thing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from diptych.data.series import MAX_PICTURES, series_of

BATCH = 512  # pictures compared with all others at a time


@dataclass(frozen=True)
class LabelledVectors:
    """N vectors of unit length.

    Attributes
    ----------
    vectors
        (N, D) float32.
    labels, series
        (N,) int64 numbers from 0. Pictures of one series are shots of the same thing: a picture is never measured
        against its own series, which would say nothing on other things of its label.
    names
        Of the labels, by their numbers.
    """

    vectors: Tensor
    labels: Tensor
    series: Tensor
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, vectors: Tensor, labels: Sequence[str], paths: Sequence[str], seed: int = 0) -> "LabelledVectors":
        """Of a gallery's contents; of many pictures some are drawn."""
        rows = np.random.default_rng(seed).permutation(len(labels))[:MAX_PICTURES]
        names, numbers = np.unique(np.array(labels, np.str_)[rows], return_inverse=True)
        chosen, numbers = vectors[torch.from_numpy(rows)], numbers.astype(np.int64)
        series = series_of(np.array(paths, np.str_)[rows], numbers, chosen.numpy())
        return cls(chosen, torch.from_numpy(numbers), torch.from_numpy(series), tuple(names.tolist()))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> "LabelledVectors":
        return replace(self, vectors=self.vectors[rows], labels=self.labels[rows], series=self.series[rows])

    def with_vectors(self, vectors: Tensor) -> "LabelledVectors":
        """The same pictures with other vectors (N, d)."""
        return replace(self, vectors=vectors)

    def label_count(self) -> int:
        """How many labels there are."""
        return len(torch.unique(self.labels))

    def teaches(self) -> bool:
        """Whether an adapter can be learned from them: two labels, each of two pictures or more."""
        return int((torch.bincount(self.labels) > 1).sum()) > 1

    def renumbered(self) -> Tensor:
        """(N,) label numbers without gaps."""
        numbers: Tensor = torch.unique(self.labels, return_inverse=True)[1]
        return numbers

    def nearest(self, probes: Tensor, k: int, *, of_other_labels: bool = False) -> Iterator[tuple[Tensor, ...]]:
        """Match pictures, by their rows, with the pictures of other series, or of other labels.

        Yields, some hundred at a time, the rows of the probes, and (n, k) similarities and rows of the nearest.
        """
        kind = self.labels if of_other_labels else self.series
        for rows in torch.split(probes, BATCH):
            similarities = (self.vectors[rows] @ self.vectors.T).masked_fill(kind[rows][:, None] == kind, -2)
            yield (rows, *similarities.topk(min(k, len(self)), 1))
