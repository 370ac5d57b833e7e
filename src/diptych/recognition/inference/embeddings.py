"""What a recognizer remembers of its training pictures: how it saw them, their labels and where they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych import artefact
from diptych.artefact import Artefact
from diptych.errors import ArtefactError

MOST = 10_000  # pictures remembered
AT_A_TIME = 1024  # pictures compared with all that is remembered
FILE = "memory.safetensors"


@dataclass(frozen=True)
class EmbeddingIndex:
    """Embeddings of M training pictures.

    Attributes
    ----------
    embeddings
        (M, D) float16, each of unit length: :meth:`Recognizer.embed` of the pictures.
    slopes
        (M, 3) float32: :func:`diptych.recognition.inference.outputs.detail_slopes` of the pictures.
    labels
        (M,) int64 class numbers, or (M, K) bool where a picture may have several.
    paths
        The pictures' names, as ``Images.paths`` has them.
    """

    embeddings: Tensor
    slopes: Tensor
    labels: NDArray[Any]
    paths: tuple[str, ...]

    @classmethod
    def of(cls, features: Tensor, slopes: Tensor, labels: NDArray[Any], paths: NDArray[np.str_]) -> "EmbeddingIndex":
        """Remember (M, D) features and (M, 3) slopes of as many pictures."""
        embeddings = F.normalize(features.float(), dim=1).half()
        return cls(embeddings, slopes.float(), np.array(labels), tuple(paths.tolist()))

    def __len__(self) -> int:
        return len(self.embeddings)

    def nearest(self, embeddings: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k remembered pictures most like each of N others, the most alike first.

        Parameters
        ----------
        embeddings
            (N, D) of unit length.
        k
            At most M are there to be found.

        Returns
        -------
        (N, k) float32 cosine similarities in -1..1, and (N, k) int64 rows of this memory.
        """
        held, k = self.embeddings.float(), min(k, len(self))
        parts = (embeddings[start : start + AT_A_TIME] for start in range(0, max(1, len(embeddings)), AT_A_TIME))
        found = [(some.float() @ held.T).topk(k, 1) for some in parts]
        similarities = [values.clamp(-1, 1) for values, _ in found]
        return torch.cat(similarities), torch.cat([rows for _, rows in found])

    def tensors(self) -> dict[str, Tensor]:
        """What is stored beside the weights."""
        return {"embeddings": self.embeddings, "slopes": self.slopes, "labels": torch.from_numpy(self.labels)}

    @classmethod
    def read(cls, found: Artefact) -> "EmbeddingIndex | None":
        """The memory of a recognizer's artefact; ``None`` if it was saved before there were memories.

        Raises
        ------
        ArtefactError
            It is damaged.
        """
        tensors = artefact.extra_tensors(found, FILE)
        if tensors is None:
            return None
        paths = artefact.data(found.folder).get("remembered", [])
        embeddings, slopes, labels = tensors["embeddings"], tensors["slopes"], tensors["labels"].numpy()
        if not len(embeddings) == len(slopes) == len(labels) == len(paths):
            raise ArtefactError(
                f"The model in {found.folder} is damaged: {FILE} and data.json tell of different pictures. "
                "Restore the folder from a copy, or train again."
            )
        return cls(embeddings, slopes, labels, tuple(paths))


def rows_to_index(labels: NDArray[Any], most: int = MOST) -> NDArray[np.int64]:
    """Ascending rows of up to ``most`` pictures, evenly over the classes as far as they have so many.

    A class that has fewer than its part leaves the rest to the others. A picture of several labels counts for
    the rarest of them.
    """
    kinds = _rarest(labels) if labels.ndim == 2 else labels
    _, kinds, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    taken = _evenly(sizes, min(most, len(labels)))
    chosen = []
    for kind, count in enumerate(taken.tolist()):
        rows = np.flatnonzero(kinds == kind)
        chosen.append(rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _rarest(labels: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) the rarest label of each picture, K for one that has none."""
    counts = np.append(np.where(labels, labels.sum(0), np.inf), np.full((len(labels), 1), len(labels) + 1.0), axis=1)
    return np.asarray(counts.argmin(1), np.int64)


def _evenly(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """How many to take of each class so that the counts are as equal as can be and sum to ``total``."""
    taken = np.zeros_like(sizes)
    left, order = total, np.argsort(sizes, kind="stable")
    for place, kind in enumerate(order.tolist()):  # from the smallest: what it cannot give is shared by the rest
        taken[kind] = min(sizes[kind], left // (len(order) - place))
        left -= taken[kind]
    return taken
