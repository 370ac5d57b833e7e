"""The embedding index: a recognizer's embeddings of its training pictures, with their labels and paths."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.artefact import Artefact, damaged
from diptych.recognition.inference.named_pictures import NamedPictures

MAX_PICTURES = 10_000  # in the index
QUERY_BATCH = 1024  # embeddings compared with the whole index at a time
INDEX_BATCH = 512  # of the index in float32 at a time: they stay in the cache, which takes a fifth of the time
FILE = "embeddings.safetensors"


@dataclass(frozen=True)
class EmbeddingIndex:
    """Embeddings of M training pictures, searched by cosine similarity.

    Attributes
    ----------
    embeddings
        (M, D) float16, each of unit length: :meth:`Recognizer.embed` of the pictures.
    slopes
        (M, 3) float32: :func:`diptych.recognition.inference.outputs.spectral_slopes` of the pictures.
    labels
        (M,) int64 class numbers, or (M, K) bool where a picture may have several labels.
    pictures
        Their names and contents.
    """

    embeddings: Tensor
    slopes: Tensor
    labels: NDArray[Any]
    pictures: NamedPictures

    @classmethod
    def of(cls, features: Tensor, slopes: Tensor, labels: NDArray[Any], pictures: NamedPictures) -> "EmbeddingIndex":
        """Index M pictures by their (M, D) features and (M, 3) slopes."""
        embeddings = F.normalize(features.float(), dim=1).half()
        return cls(embeddings, slopes.float(), np.array(labels), pictures)

    def __len__(self) -> int:
        return len(self.embeddings)

    def nearest(self, embeddings: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k indexed pictures most similar to each of N others, most similar first.

        Parameters
        ----------
        embeddings
            (N, D) of unit length.
        k
            Number of matches; at most M are returned.

        Returns
        -------
        (N, k) float32 cosine similarities in -1..1, and (N, k) int64 rows of this index.
        """
        k = min(k, len(self))
        batches = (embeddings[start : start + QUERY_BATCH] for start in range(0, max(1, len(embeddings)), QUERY_BATCH))
        matches = [self._similarities(batch.float()).topk(k, 1) for batch in batches]
        similarities = [values.clamp(-1, 1) for values, _ in matches]
        return torch.cat(similarities), torch.cat([rows for _, rows in matches])

    def _similarities(self, embeddings: Tensor) -> Tensor:
        """(N, M) float32 of (N, D) float32."""
        parts = torch.split(self.embeddings, INDEX_BATCH)
        return torch.cat([embeddings @ part.float().T for part in parts], 1)

    def tensors(self) -> dict[str, Tensor]:
        """The content of ``embeddings.safetensors``; ``data.json`` has the names."""
        return {"embeddings": self.embeddings, "slopes": self.slopes, "labels": torch.from_numpy(self.labels)}

    @classmethod
    def read(cls, model: Artefact, classes: int, multi_label: bool) -> "EmbeddingIndex | None":
        """The index in the artefact of a recognizer of so many classes; ``None`` if it was saved without one.

        Raises
        ------
        ArtefactError
            It is damaged.
        """
        tensors = model.extra.get(FILE)
        if tensors is None:
            return None
        if missing := sorted({"embeddings", "slopes", "labels"} - tensors.keys()):
            raise damaged(model.folder / FILE, f"the tensor {missing[0]} is missing")
        pictures = NamedPictures.read(model.data.get("indexed", []), model.data.get("indexed_digests"), model.data)
        embeddings, slopes, labels = tensors["embeddings"], tensors["slopes"], tensors["labels"]
        if not len(embeddings) == len(slopes) == len(labels) == len(pictures) == len(pictures.digests):
            raise damaged(model.folder / FILE, "it and data.json list different pictures")
        if reason := _unlike_an_index(embeddings, slopes, labels, classes, multi_label):
            raise damaged(model.folder / FILE, reason)
        return cls(embeddings, slopes, labels.numpy(), pictures)


def _unlike_an_index(embeddings: Tensor, slopes: Tensor, labels: Tensor, classes: int, multi_label: bool) -> str:
    """What is wrong with the tensors of an index, whose numbers of rows agree; empty: nothing."""
    rows = len(embeddings)
    if embeddings.ndim != 2 or embeddings.dtype != torch.float16 or not bool(embeddings.isfinite().all()):
        return f"the tensor embeddings is not ({rows}, D) numbers of 16 bits"
    if slopes.ndim != 2 or slopes.dtype != torch.float32 or not bool(slopes.isfinite().all()):
        return f"the tensor slopes is not ({rows}, 3) numbers of 32 bits"
    if multi_label:
        return "" if labels.shape == (rows, classes) and labels.dtype == torch.bool else "the tensor labels is damaged"
    if labels.shape != (rows,) or labels.dtype != torch.int64 or bool(((labels < 0) | (labels >= classes)).any()):
        return f"the tensor labels is not {rows} numbers of the {classes} classes"
    return ""


def rows_to_index(labels: NDArray[Any], max_pictures: int = MAX_PICTURES) -> NDArray[np.int64]:
    """Ascending rows of up to ``max_pictures`` pictures, drawn evenly over the classes.

    What a small class lacks is taken from the others. A picture with several labels counts for the rarest of them.

    Parameters
    ----------
    labels
        (N,) int64 class numbers, or (N, K) bool.
    """
    classes = _rarest_labels(labels) if labels.ndim == 2 else labels
    _, classes, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    counts = _even_counts(sizes, min(max_pictures, len(labels)))
    chosen = []
    for number, count in enumerate(counts.tolist()):
        rows = np.flatnonzero(classes == number)
        chosen.append(rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _rarest_labels(labels: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) the rarest label of each picture; K for a picture without labels."""
    counts = np.append(np.where(labels, labels.sum(0), np.inf), np.full((len(labels), 1), len(labels) + 1.0), axis=1)
    return np.asarray(counts.argmin(1), np.int64)


def _even_counts(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """(K,) counts that sum to ``total`` and are as equal as the classes' sizes allow."""
    counts = np.zeros_like(sizes)
    remaining, order = total, np.argsort(sizes, kind="stable")
    for i, number in enumerate(order.tolist()):  # smallest first: the larger classes share what it lacks
        counts[number] = min(sizes[number], remaining // (len(order) - i))
        remaining -= counts[number]
    return counts
