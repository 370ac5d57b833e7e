"""The training pictures that a picture is most like, as the recognizer sees them: reasons by example."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.errors import DataError, PictureError, UsageError
from diptych.recognition.inference.embeddings import EmbeddingIndex


@dataclass(frozen=True)
class NearestPictures:
    """The k training pictures most like each of N pictures, the most alike first.

    Attributes
    ----------
    paths
        (N, k) names of the training pictures, as they were when the recognizer was trained.
    names
        (N, k) names of their classes; of several labels, joined by ", ".
    similarities
        (N, k) float32 cosine of the embeddings, -1..1; 1 is alike in all that the network sees.
    """

    paths: NDArray[np.str_]
    names: NDArray[np.str_]
    similarities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, i: int) -> list[dict[str, Any]]:
        """Those of picture ``i`` as JSON can hold them: ``{"path", "label", "similarity"}``."""
        three = zip(self.paths[i].tolist(), self.names[i].tolist(), self.similarities[i].tolist(), strict=True)
        return [{"path": path, "label": name, "similarity": round(alike, 4)} for path, name, alike in three]


def nearest_pictures(
    memory: EmbeddingIndex | None, embeddings: Tensor, classes: tuple[str, ...], k: int
) -> NearestPictures:
    """Look (N, D) embeddings of unit length up in what a recognizer remembers.

    Raises
    ------
    UsageError
        ``k`` is not above 0.
    DataError
        The recognizer remembers nothing.
    """
    if k < 1:
        raise UsageError(f"k must be 1 or more, not {k}: it counts the training pictures to name.")
    if memory is None or len(memory) == 0:
        raise DataError(
            "This recognizer remembers none of its training pictures: an earlier version of Diptych made it. "
            "Train it again to have them named."
        )
    similarities, rows = memory.nearest(embeddings, k)
    names = np.array([label_name(label, classes) for label in memory.labels], dtype=np.str_)
    paths = np.array(memory.paths, dtype=np.str_)
    return NearestPictures(paths[rows.numpy()], names[rows.numpy()], similarities.numpy())


def label_name(label: Any, classes: tuple[str, ...]) -> str:
    """A class number's name; of a row of bool, the names joined by ", ", or "none"."""
    if np.ndim(label) == 0:
        return classes[int(label)]
    return ", ".join(classes[i] for i in np.flatnonzero(np.asarray(label))) or "none"


def read_picture(path: str, size: int) -> NDArray[np.uint8] | None:
    """The picture as (size, size, 3) uint8, if a file of that name is still there and can be read; else ``None``."""
    if not Path(path).is_file():
        return None
    try:
        return Images.of_files([path]).picture(0, size)
    except PictureError:
        return None
