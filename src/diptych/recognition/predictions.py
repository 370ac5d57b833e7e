"""``Predictions``: what a recognizer predicts. Free of torch, which a portable recognizer does not need."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from diptych.data.picture_set import PictureSet
from diptych.errors import PictureError, UsageError
from diptych.report import notebook

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN_ROWS = 5  # of many predictions, as text
MAX_PATH, MAX_ANSWER = 40, 60  # characters


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The prediction for one picture, ``predictions[i]``; see :class:`Predictions`.

    Attributes
    ----------
    path
        The picture's path, or another name.
    name
        The class's name; several are joined by ", "; "" for a picture that cannot be read.
    confidence
        0..1; NaN for a picture that cannot be read.
    probabilities
        Of each class, by its name.
    unknown
        Whether the picture is unlike the training pictures, or cannot be read.
    label_set
        Names of the conformal label set; ``None`` from a model that was calibrated without sets.
    error
        Why the picture cannot be read; ``None``: it can.
    """

    path: str
    name: str
    confidence: float
    probabilities: Mapping[str, float]
    unknown: bool
    label_set: tuple[str, ...] | None
    error: PictureError | None

    def __str__(self) -> str:
        """The answer on one line, such as "cat (97 %)"."""
        if self.error is not None:
            return f"cannot be read: {self.error.reason}"
        note = ", unlike the training pictures" if self.unknown else ""
        return f"{self.name or 'no label'} ({100 * self.confidence:.0f} %{note})"

    def __repr__(self) -> str:
        return f"<{_ending(self.path)}: {self}>"


@dataclass(frozen=True, repr=False)
class Predictions:
    """The predictions of a recognizer for N pictures, in the given order; also of one picture, N = 1.

    ``predictions[i]`` is one of them, a :class:`Prediction`; a slice, a mask or indices give the ``Predictions`` for
    those pictures.

    Attributes
    ----------
    classes
        Names of the K classes.
    labels
        (N,) int64 class numbers, -1 for a picture that cannot be read; or (N, K) bool where a picture may have
        several labels (those whose probability reaches their threshold).
    names
        The class's name; several are joined by ", "; "" for a picture that cannot be read.
    confidence
        (N,) float32 in 0..1: the probability that the predicted label is correct; of several labels, that of the
        least certain decision. NaN for a picture that cannot be read.
    probabilities
        (N, K) float32, calibrated; a row of NaN for a picture that cannot be read.
    unknown
        (N,) bool: the picture is less familiar than 95 % of known pictures, or cannot be read. A hint: about 5 % of
        known pictures are flagged as well, and not every out-of-distribution one is.
    sets
        (N, K) bool: the conformal label set, which holds the true label of 90 % of pictures like those calibrated on
        (of several labels: 90 % of them, on average), and always the predicted label. All false for a picture that
        cannot be read; ``None`` from a model that was calibrated without sets.
    errors
        Row -> why this picture cannot be read.
    images
        The pictures; ``None``: not known.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    names: list[str]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    sets: NDArray[np.bool_] | None = None
    errors: Mapping[int, PictureError] = field(default_factory=dict)
    images: PictureSet | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Prediction]:
        return (self._row(i) for i in range(len(self)))

    @overload
    def __getitem__(self, rows: int) -> Prediction: ...

    @overload
    def __getitem__(self, rows: slice | NDArray[Any] | list[int]) -> "Predictions": ...

    def __getitem__(self, rows: Any) -> "Prediction | Predictions":
        """One prediction by its row, or those in a slice, a mask or an array of rows."""
        if isinstance(rows, int | np.integer):
            return self._row(range(len(self))[rows])
        kept = np.atleast_1d(np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)])
        return Predictions(
            self.classes,
            self.labels[kept],
            [self.names[row] for row in kept],
            self.confidence[kept],
            self.probabilities[kept],
            self.unknown[kept],
            None if self.sets is None else self.sets[kept],
            {i: self.errors[row] for i, row in enumerate(kept.tolist()) if row in self.errors},
            None if self.images is None else self.images[kept],
        )

    def __repr__(self) -> str:
        if len(self) == 1:
            return f"<1 prediction: {_ending(self._path(0))}: {_shortened(self._row(0))}>"
        rows = [self._row(i) for i in range(min(SHOWN_ROWS, len(self)))]
        width = max((len(_ending(row.path)) for row in rows), default=0)
        lines = [f"<{self._summary()}", *(f"  {_ending(row.path):<{width}}  {_shortened(row)}" for row in rows)]
        if len(self) > SHOWN_ROWS:
            lines.append(f"  … and {len(self) - SHOWN_ROWS:,} more")
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        rows = range(min(len(self), notebook.MAX_PICTURES))
        pictures = self.images.thumbnails(rows) if self.images is not None else [None] * len(rows)
        return notebook.pictures(self._summary(), pictures, [str(self._row(i)) for i in rows], len(self))

    def to_pandas(self) -> "DataFrame":
        """A table with a row for each picture: path, label, confidence, unknown, label_set, error.

        ``label_set`` is a tuple of names; ``error`` is why a picture cannot be read, else empty. All probabilities are
        in ``pandas.DataFrame(predictions.probabilities, columns=predictions.classes)``.

        Raises
        ------
        UsageError
            pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise UsageError("A table needs pandas. Install it with: pip install pandas") from None
        rows = [
            {
                "path": row.path,
                "label": row.name,
                "confidence": row.confidence,
                "unknown": row.unknown,
                "label_set": row.label_set,
                "error": "" if row.error is None else row.error.reason,
            }
            for row in self
        ]
        return DataFrame(rows, columns=["path", "label", "confidence", "unknown", "label_set", "error"])

    def json_rows(self) -> list[dict[str, Any]]:
        """A row for each picture as JSON can hold it: what ``diptych predict --json`` prints and the server answers.

        ``{"path", "label", "confidence", "probabilities", "unknown"}``, with "set" where there are label sets; or
        ``{"path", "error"}``. "label" is a name, or a list of names where a picture may have several labels.
        """
        return [self._json_row(i) for i in range(len(self))]

    def _json_row(self, i: int) -> dict[str, Any]:
        if i in self.errors:
            return {"path": self._path(i), "error": self.errors[i].reason}
        probabilities = [round(probability, 6) for probability in self.probabilities[i].tolist()]
        row = {
            "path": self._path(i),
            "label": self._members(self.labels[i]) if self.labels.ndim == 2 else self.names[i],
            "confidence": round(float(self.confidence[i]), 6),
            "probabilities": dict(zip(self.classes, probabilities, strict=True)),
            "unknown": bool(self.unknown[i]),
        }
        return row if self.sets is None else {**row, "set": self._members(self.sets[i])}

    def _members(self, row: NDArray[np.bool_]) -> list[str]:
        """The names of the classes where ``row`` (K,) is true."""
        return [self.classes[k] for k in np.flatnonzero(row).tolist()]

    def _row(self, i: int) -> Prediction:
        return Prediction(
            path=self._path(i),
            name=self.names[i],
            confidence=float(self.confidence[i]),
            probabilities=dict(zip(self.classes, self.probabilities[i].tolist(), strict=True)),
            unknown=bool(self.unknown[i]),
            label_set=None if self.sets is None else tuple(self._members(self.sets[i])),
            error=self.errors.get(i),
        )

    def _path(self, i: int) -> str:
        return f"#{i}" if self.images is None else str(self.images.paths[i])

    def _summary(self) -> str:
        """How many there are, and how many of them are no answer."""
        unread = len(self.errors)
        notes = {"unlike the training pictures": int(self.unknown.sum()) - unread, "cannot be read": unread}
        counted = [f"{count:,} {note}" for note, count in notes.items() if count > 0]
        plural = "" if len(self) == 1 else "s"
        return ", ".join([f"{len(self):,} prediction{plural}", *counted])


def _ending(path: str) -> str:
    """The end of a path, which tells pictures apart."""
    return path if len(path) <= MAX_PATH else f"…{path[1 - MAX_PATH :]}"


def _shortened(prediction: Prediction) -> str:
    text = str(prediction)
    return text if len(text) <= MAX_ANSWER else f"{text[: MAX_ANSWER - 1]}…"
