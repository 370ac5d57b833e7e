"""What matching a picture against a gallery gives: nearest labelled pictures, the label they vote for, or unknown."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.picture_set import PictureSet
from diptych.errors import PictureError
from diptych.recognition.gallery.search import Neighbours
from diptych.recognition.gallery.voting import Votes
from diptych.report import notebook

SHOWN_ROWS = 5  # of many, as text


@dataclass(frozen=True)
class NearPicture:
    """A picture of the gallery near to another one; ``distance`` is 1 − cosine similarity, 0..2."""

    id: str
    path: str
    label: str
    distance: float


@dataclass(frozen=True)
class Match:
    """The match of one picture, ``matches[i]``.

    Attributes
    ----------
    path
        The picture's path, or another name.
    name
        The label that the nearest pictures vote for; "" for a picture that cannot be read, or an empty gallery.
    confidence
        Its share of the vote, 0..1; NaN where there is no label.
    distance
        To the nearest picture: 1 − cosine similarity, 0..2; NaN where there is none.
    unknown
        Whether it is too far from all pictures, at the stated false-accept rate.
    nearest
        The nearest pictures, nearest first.
    error
        Why the picture cannot be read; ``None``: it can.
    """

    path: str
    name: str
    confidence: float
    distance: float
    unknown: bool
    nearest: tuple[NearPicture, ...]
    error: PictureError | None

    def __str__(self) -> str:
        if self.error is not None:
            return f"cannot be read: {self.error.reason}"
        if not self.name:
            return "no picture to compare with"
        note = ", unlike all enrolled pictures" if self.unknown else ""
        return f"{self.name} ({self.confidence:.0%} of the vote, distance {self.distance:.3f}{note})"

    def json(self, shown: Callable[[str], str] = str) -> dict[str, Any]:
        """As JSON can hold it: ``{"path", "label", "confidence", "distance", "unknown", "nearest"}``, or an error.

        ``shown`` makes the paths of the nearest pictures, which are stored from the root, what is to be seen of them.
        """
        if self.error is not None:
            return {"path": self.path, "error": self.error.reason}
        numbers = {"confidence": self.confidence, "distance": self.distance} if self.name else {}
        return {
            "path": self.path,
            "label": self.name or None,
            **{name: round(value, 6) for name, value in numbers.items()},
            "unknown": self.unknown,
            "nearest": [
                {**vars(near), "path": shown(near.path), "distance": round(near.distance, 6)} for near in self.nearest
            ],
        }


@dataclass(frozen=True, repr=False)
class Matches:
    """The matches of N pictures, in the given order; ``matches[i]`` is one of them.

    Attributes
    ----------
    paths, names
        (N,) see :class:`Match`.
    confidence, distances
        (N,) float32.
    unknown
        (N,) bool.
    neighbours
        The nearest pictures of each.
    errors
        Row -> why this picture cannot be read.
    images
        The pictures, for notebooks; ``None``: they are not shown.
    """

    paths: list[str]
    names: list[str]
    confidence: NDArray[np.float32]
    distances: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    neighbours: Neighbours
    errors: Mapping[int, PictureError] = field(default_factory=dict)
    images: PictureSet | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> Match:
        i = range(len(self))[i]
        near = self.neighbours
        columns = (near.ids[i], near.paths[i], near.labels[i], 1 - near.similarities[i])
        rows = zip(*(column.tolist() for column in columns), strict=True) if i not in self.errors else ()
        return Match(
            self.paths[i],
            self.names[i],
            float(self.confidence[i]),
            float(self.distances[i]),
            bool(self.unknown[i]),
            tuple(NearPicture(*row) for row in rows),
            self.errors.get(i),
        )

    def __iter__(self) -> Iterator[Match]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        lines = [f"  {self[i].path}: {self[i]}" for i in range(min(SHOWN_ROWS, len(self)))]
        more = [f"  … and {len(self) - SHOWN_ROWS:,} more"] if len(self) > SHOWN_ROWS else []
        return "\n".join([f"<{self._summary()}", *lines, *more]) + ">"

    def _repr_html_(self) -> str:
        rows = range(min(len(self), notebook.MAX_PICTURES))
        pictures = self.images.thumbnails(rows) if self.images is not None else [None] * len(rows)
        return notebook.pictures(self._summary(), pictures, [str(self[i]) for i in rows], len(self))

    def _summary(self) -> str:
        return f"{len(self):,} {'match' if len(self) == 1 else 'matches'}"


def matches_of(images: PictureSet, neighbours: Neighbours, sharpness: float, threshold: float) -> Matches:
    """The matches of pictures by their neighbours; unknown is what is less familiar than ``threshold``."""
    errors = images.known_errors()
    unread = np.isin(np.arange(len(images)), list(errors))
    missing = np.full(len(images), np.nan, np.float32)
    if not neighbours.labels.size:
        names = [""] * len(images)
        return Matches(images.paths.tolist(), names, missing, missing, np.ones_like(unread), neighbours, errors, images)
    labels, numbers = np.unique(neighbours.labels, return_inverse=True)
    votes = Votes(numbers.reshape(neighbours.labels.shape), neighbours.similarities)
    shares = votes.shares(sharpness)
    return Matches(
        images.paths.tolist(),
        ["" if bad else name for bad, name in zip(unread, labels[shares.argmax(1)].tolist(), strict=True)],
        np.where(unread, missing, shares.max(1)),
        np.where(unread, missing, 1 - neighbours.similarities[:, 0]),
        unread | (votes.familiarity(sharpness) < threshold),
        neighbours,
        errors,
        images,
    )


@dataclass(frozen=True)
class PairMatch:
    """Whether two pictures show the same thing.

    Attributes
    ----------
    similarity
        Cosine similarity, -1..1.
    same
        Whether it reaches the threshold.
    threshold
        That keeps the false-accept rate.
    far, tar
        The false-accept rate that the threshold keeps, and the share of pairs of one label that it accepts.
    """

    similarity: float
    same: bool
    threshold: float
    far: float
    tar: float

    def __str__(self) -> str:
        answer = "the same" if self.same else "not the same"
        return (
            f"{answer} (similarity {self.similarity:.3f}, threshold {self.threshold:.3f}: it lets {self.far:.2%} of "
            f"pairs of two labels pass, and {self.tar:.1%} of those of one label)"
        )
