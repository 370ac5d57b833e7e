"""Proof on pictures that an exported file answers as its model does."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import in_turn, pool
from diptych.data.decode import Pixels, square
from diptych.data.images import Images
from diptych.data.machine import workers
from diptych.errors import ExportError, PictureError
from diptych.exporting.portable import Answers, Portable
from diptych.recognition.predictions import Predictions

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

AT_A_TIME = 256
TIE = 1e-5  # a label decided by less in its probability is no decision
LEAST_SHARE = {"fp32": 1.0, "int8": 0.99}  # of the labels that have to be the same
ENOUGH = 0.995  # of them that is looked for: a model decides more clearly on pictures that it was fitted on
MOST_APART = 0.02  # that a probability may be in fp32: what one level in 255 here and there moves at most


@dataclass(frozen=True)
class Parity:
    """How a file's answers compare with its model's.

    Attributes
    ----------
    pictures
        How many were shown to both, at their own sizes.
    shown
        What they were, in words.
    same_labels, ties
        How many got the same label (all of its labels, where there may be several); and of the others, how many the
        model itself decides by less than 0.00001.
    same_unknown
        How many are told unknown, or not, by both.
    apart
        The largest difference of a probability.
    """

    pictures: int
    shown: str
    same_labels: int
    ties: int
    same_unknown: int
    apart: float

    @property
    def share(self) -> float:
        """Of the pictures that the model decides, those that got the same label."""
        decided = self.pictures - self.ties
        return self.same_labels / decided if decided else 1.0

    def check(self, precision: str) -> None:
        """Raise ExportError unless it is enough for "fp32" or "int8"."""
        decided = self.pictures - self.ties
        if self.share < LEAST_SHARE[precision]:
            raise ExportError(
                f"The {precision} graph gives another label than the model to {decided - self.same_labels} of "
                f"{self.pictures} pictures ({self.shown}), so no file was written. "
                + ("Export without --int8." if precision == "int8" else "Please report this with the network's name.")
            )
        if precision == "fp32" and self.apart > MOST_APART:
            raise ExportError(
                f"A probability of the graph is {self.apart:.3f} off the model's on {self.pictures} pictures "
                f"({self.shown}), so no file was written. Please report this with the network's name."
            )

    def json(self) -> dict[str, Any]:
        """For the file's metadata."""
        return asdict(self)

    def __str__(self) -> str:
        ties = f" ({self.ties} ties)" if self.ties else ""
        share = f"{self.same_labels} of {self.pictures}"
        return f"the same labels on {share} {self.shown}{ties}; probabilities at most {self.apart:.1e} apart"


def parity(portable: Portable, recognizer: "Recognizer", images: Images, shown: str) -> Parity:
    """Show pictures to both: to the file as they are, to the recognizer as it resizes them itself.

    Raises
    ------
    ExportError
        None of the pictures can be read.
    """
    counts = np.zeros(4, np.int64)
    apart = 0.0
    for squares, answers in _in_parts(portable, images):
        told = recognizer.predict(Images.from_arrays(squares))
        got = {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}
        same, decided = _same(got["labels"], told.labels), _decided(told, recognizer)
        same_unknown = got["unknown"] == told.unknown
        counts += [len(same), int(same.sum()), int((~same & ~decided).sum()), int(same_unknown.sum())]
        apart = max(apart, float(np.abs(got["probabilities"] - told.probabilities).max()))
    if not counts[0]:
        raise ExportError("None of the pictures to compare on can be read. Name others with --check.")
    pictures, same_labels, ties, unknown = counts.tolist()
    return Parity(pictures, shown, same_labels, ties, unknown, apart)


def _in_parts(portable: Portable, images: Images) -> Iterator[tuple[Pixels, list[Answers]]]:
    """Squares (n, S, S, 3) and the file's answers to the whole pictures."""

    def work(whole: Pixels) -> tuple[Pixels, Answers]:
        return square(whole, portable.size_), portable.ask(whole[None])

    for start in range(0, len(images), AT_A_TIME):
        with pool() as executor:
            wholes = _readable(images[start : start + AT_A_TIME])
            done = list(in_turn(executor, work, wholes, ahead=2 * workers()))
        if done:
            yield np.stack([pixels for pixels, _ in done]), [answers for _, answers in done]


def _readable(images: Images) -> Iterator[Pixels]:
    for i in range(len(images)):
        try:
            yield images.picture(i)
        except PictureError:
            continue


def _same(got: NDArray[Any], told: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) bool."""
    return np.asarray((got == told).all(1) if told.ndim == 2 else got == told)


def _decided(told: Predictions, recognizer: "Recognizer") -> NDArray[np.bool_]:
    """(N,) bool: the labels are no matter of the last digits."""
    if recognizer.multi_label_:
        thresholds = np.array(recognizer.reading_.label_thresholds or 0.5)
        return np.asarray((np.abs(told.probabilities - thresholds) >= TIE).all(1))
    best = np.sort(told.probabilities, axis=1)
    return np.asarray(best[:, -1] - best[:, -2] >= TIE)
