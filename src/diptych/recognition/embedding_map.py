"""The embedding map: pictures as points in a plane, in which alike pictures lie near each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.data.labels import label_names
from diptych.errors import DataError, UsageError
from diptych.recognition.gallery.gallery import Gallery
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.outputs import compute_outputs
from diptych.recognition.recognizer import Recognizer
from diptych.resources import core_count

COMPONENTS = 50  # of the embeddings that the layout sees; more add noise and time
PERPLEXITY = 30.0  # neighbours that a picture is kept near to, about
MIN_SPREAD = 1e-4  # of the layout's start
MIN_PARALLEL = 2000  # pictures, below which threads cost more than they bring
DIGITS = 3


@dataclass(frozen=True)
class Place:
    """Whose picture a point is.

    Attributes
    ----------
    data
        The data set that it is in; empty: the gallery.
    path
        Within the data set.
    label
        Names joined by "|"; empty: none.
    origin
        "real", "synthetic" or "composite".
    predicted
        What the recognizer that embedded it says, names joined by "|"; empty: it was embedded by something else.
    id
        In the gallery; empty: it is in a data set.
    """

    data: str
    path: str
    label: str
    origin: str
    predicted: str = ""
    id: str = ""


@dataclass
class Embedded:
    """Pictures and their embeddings, gathered for a map.

    Attributes
    ----------
    places, vectors
        Of the pictures; (n, D) float32 of unit length each.
    unreadable
        Why pictures were left out.
    """

    places: list[Place] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def add_images(self, data: str, folder: str, images: Images, source: Embedder | Recognizer) -> None:
        """Add the readable pictures of a data set, which lies in ``folder``; a recognizer also says what they are."""
        if isinstance(source, Recognizer):
            outputs = compute_outputs(source.network_, images, source.size_, title="Embedding")
            vectors = F.normalize(outputs.features, dim=1)
            predicted = source.decision_rule_.predictions(outputs.logits, images.known_errors()).names
        else:
            vectors, predicted = torch.cat(list(source.batches(images))), [""] * len(images)
        readable = np.flatnonzero(~vectors.isnan().any(1).numpy())
        labels = label_names(images.labels, images.classes)
        for row in readable.tolist():
            path = PurePath(images.paths[row])
            inner = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
            self.places.append(Place(data, inner, "|".join(labels[row]), str(images.origins[row]), predicted[row]))
        self.vectors.append(vectors.numpy()[readable])
        self.unreadable += map(str, images.known_errors().values())

    def add_gallery(self, gallery: Gallery) -> None:
        """Add all pictures of a gallery, by the vectors that are searched; of their paths only the file's name."""
        for rows, vectors in gallery.searched():
            self.places += [Place("", **{**row, "path": PurePath(row["path"]).name}) for row in rows]
            self.vectors.append(vectors)


@dataclass(frozen=True)
class EmbeddingMap:
    """A map of N pictures.

    Attributes
    ----------
    embedder
        What embedded them, in a few words.
    places
        The pictures.
    points
        (N, 2) float32: where they lie; the units mean nothing.
    """

    embedder: str
    places: Sequence[Place]
    points: NDArray[np.float32]

    @classmethod
    def of(cls, embedder: str, embedded: Embedded, seed: int = 0) -> Self:
        """Lay out the pictures.

        Raises
        ------
        DataError
            There are none.
        UsageError
            openTSNE is not installed.
        """
        if not embedded.places:
            raise DataError("There is no picture to lay out in a map.")
        return cls(embedder, embedded.places, layout(np.concatenate(embedded.vectors), seed))

    def json(self) -> dict[str, Any]:
        """As JSON can hold it: a list for each column, which a page of 100,000 points reads at once."""
        columns = ("data", "path", "label", "origin", "predicted", "id")
        values = {name: [getattr(place, name) for place in self.places] for name in columns}
        points = self.points.astype(np.float64).round(DIGITS)
        return {
            "embedder": self.embedder,
            "pictures": len(self.places),
            **{name: column for name, column in values.items() if any(column)},
            "x": points[:, 0].tolist(),
            "y": points[:, 1].tolist(),
        }


def layout(vectors: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """(N, 2) points of (N, D) vectors, by t-SNE (van der Maaten & Hinton 2008) from their principal components.

    Above ten thousand vectors the gradient is interpolated (Linderman et al. 2019), in time proportional to N.

    Raises
    ------
    UsageError
        openTSNE is not installed.
    """
    tsne = _tsne()
    n = len(vectors)
    if n < 4:  # too few to have neighbours
        return np.eye(n, 2, dtype=np.float32)
    components = _principal_components(vectors, seed)
    start = components[:, :2] / max(float(components[:, 0].std()), MIN_SPREAD) * MIN_SPREAD
    fitted = tsne(
        perplexity=min(PERPLEXITY, (n - 1) / 3),
        initialization=start,
        n_jobs=core_count() if n >= MIN_PARALLEL else 1,
        random_state=seed,
    ).fit(components)
    return np.asarray(fitted, np.float32)


def _principal_components(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """(N, c) of float64, c at least 2."""
    from sklearn.decomposition import PCA

    count = max(2, min(COMPONENTS, *vectors.shape))
    wide = np.pad(vectors.astype(np.float64), ((0, 0), (0, max(0, 2 - vectors.shape[1]))))
    with np.errstate(invalid="ignore"):  # equal vectors have no variance to be shared out
        return np.ascontiguousarray(PCA(count, random_state=seed).fit_transform(wide))


def _tsne() -> Any:
    try:
        from openTSNE import TSNE
    except ImportError:
        raise UsageError('A map needs openTSNE. Install it with: pip install "diptych[map]"') from None
    return TSNE
