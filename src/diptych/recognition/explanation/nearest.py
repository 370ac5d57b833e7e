"""The training pictures nearest to a picture in the recognizer's embedding space: explanation by example."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.recognition.inference.embeddings import EmbeddingIndex


@dataclass(frozen=True)
class NearestPictures:
    """The k training pictures most similar to each of N pictures, most similar first.

    Attributes
    ----------
    paths
        (N, k) where the training pictures were at the time of training, seen from the working directory.
    names
        (N, k) names of their classes; several labels are joined by ", ".
    similarities
        (N, k) float32 cosine similarities of the embeddings, -1..1.
    indexed
        (N, k) their rows in the embedding index.
    index
        The embedding index.
    """

    paths: NDArray[np.str_]
    names: NDArray[np.str_]
    similarities: NDArray[np.float32]
    indexed: NDArray[np.int64]
    index: EmbeddingIndex

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, i: int) -> list[dict[str, Any]]:
        """The matches of picture ``i`` as JSON can hold them: ``{"path", "label", "similarity"}``."""
        matches = zip(self.paths[i].tolist(), self.names[i].tolist(), self.similarities[i].tolist(), strict=True)
        return [{"path": path, "label": name, "similarity": round(value, 4)} for path, name, value in matches]

    def pictures(self, i: int) -> list[Images | None]:
        """The matches of picture ``i``, a set of one each; ``None`` where a file is gone or is another now."""
        return [self._existing.get(row) for row in self.indexed[i].tolist()]

    def pixels(self, i: int, size: int) -> list[NDArray[np.uint8] | None]:
        """The same as (size, size, 3) uint8."""
        return [None if picture is None else picture.picture(0, size) for picture in self.pictures(i)]

    @cached_property
    def _existing(self) -> dict[int, Images]:
        """By row of the index: opened together, since a file of many is read as a whole."""
        return self.index.pictures.by_row(self.indexed.ravel().tolist())


def nearest_pictures(
    index: EmbeddingIndex | None, embeddings: Tensor, classes: tuple[str, ...], k: int
) -> NearestPictures:
    """Look up (N, D) embeddings of unit length in a recognizer's embedding index.

    Raises
    ------
    UsageError
        ``k`` is not above 0.
    DataError
        The recognizer has no index.
    """
    if k < 1:
        raise UsageError(f"k must be 1 or more, not {k}: it is the number of training pictures to name.")
    if index is None or len(index) == 0:
        raise DataError(
            "This recognizer has no embeddings of its training pictures: it was trained with epsilon, whose promise "
            "they would break, or an earlier version of Diptych saved it. Train one without epsilon to have them."
        )
    similarities, rows = index.nearest(embeddings, k)
    names = np.array([label_name(label, classes) for label in index.labels], dtype=np.str_)
    paths, indexed = np.array(index.pictures.paths(), dtype=np.str_), rows.numpy()
    return NearestPictures(paths[indexed], names[indexed], similarities.numpy(), indexed, index)


def label_name(label: Any, classes: tuple[str, ...]) -> str:
    """The name of a class number; of a (K,) bool row the names, joined by ", ", or "none"."""
    if np.ndim(label) == 0:
        return classes[int(label)]
    return ", ".join(classes[i] for i in np.flatnonzero(np.asarray(label))) or "none"
