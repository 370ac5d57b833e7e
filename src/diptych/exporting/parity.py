"""Proof on pictures that an exported file answers as its model does."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Pixels, square
from diptych.data.images import Images
from diptych.data.resources import workers
from diptych.errors import ExportError, PictureError
from diptych.exporting.portable import Answers, Portable
from diptych.exporting.reference_images import ReferenceImages
from diptych.recognition.predictions import Predictions

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

    _Part = tuple[Pixels, list[Answers], NDArray[np.bool_]]

AT_A_TIME = 256
TIE = 1e-5  # a label decided by less in its probability is no decision
LEAST_SHARE = {"fp32": 1.0, "int8": 0.99}  # of the labels that have to be the same
ENOUGH = 0.995  # of them that is looked for, expected of fresh pictures: some room
FAINTEST = 1e-30  # probability
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
    fresh
        The share of the same labels that is expected of pictures that the model was not fitted on, which it decides
        less clearly than others: see :func:`share_kept`.
    """

    pictures: int
    shown: str
    same_labels: int
    ties: int
    same_unknown: int
    apart: float
    fresh: float = 1.0

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
        return (
            f"the same labels on {share} {self.shown}{ties}, {self.fresh:.2%} expected of fresh ones; probabilities at "
            f"most {self.apart:.1e} apart"
        )


def parity(portable: Portable, recognizer: "Recognizer", shown: ReferenceImages) -> Parity:
    """Show pictures to both: to the file as they are, to the recognizer as it resizes them itself.

    Raises
    ------
    ExportError
        None of the pictures can be read.
    """
    parts = [_compared(some, portable, recognizer) for some in _in_parts(portable, shown)]
    if not parts:
        raise ExportError("None of the pictures to compare on can be read. Name others with --check.")
    same, decided, same_unknown, fresh, apart, margins, moved = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return Parity(
        len(same),
        shown.words,
        int(same.sum()),
        int((~same & ~decided).sum()),
        int(same_unknown.sum()),
        float(apart.max()),
        float(same.mean())
        if recognizer.multi_label_
        else share_kept(margins[fresh] if fresh.any() else margins, moved),
    )


def share_kept(margins: NDArray[np.float32], moved: NDArray[np.float32]) -> float:
    """The share of labels that stay if each margin, (n,), may shrink by as much as any picture's did, (m,) ``moved``.

    Few pictures are decided so narrowly that rounding turns them: too few to count. So how many there are is reckoned
    from how narrow all are and how far all move.
    """
    turned = len(moved) - np.searchsorted(np.sort(moved), margins, side="right")
    return 1 - float(turned.mean()) / len(moved)


def _compared(some: "_Part", portable: Portable, recognizer: "Recognizer") -> tuple[NDArray[Any], ...]:
    """Of each picture: the same label, decided, the same unknown, fresh, how far apart, its margin, its shrinking."""
    squares, answers, fresh = some
    told = recognizer.predict(Images.from_arrays(squares))
    got = {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}
    apart = np.abs(got["probabilities"] - told.probabilities).max(1)
    of = told.probabilities.argmax(1)
    margins, left = _margins(told.probabilities, of), _margins(got["probabilities"], of)
    same, decided = _same(got["labels"], told.labels), _decided(told, recognizer)
    return same, decided, got["unknown"] == told.unknown, fresh, apart, margins, margins - left


def _margins(probabilities: NDArray[Any], of: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) how far ahead class ``of`` is of the best other one, in logarithms of (N, K) probabilities."""
    logs = np.log(np.maximum(probabilities, FAINTEST))
    rows = np.arange(len(logs))
    ahead = logs[rows, of]
    logs[rows, of] = -np.inf
    return np.asarray(ahead - logs.max(1), np.float32)


def _in_parts(portable: Portable, shown: ReferenceImages) -> Iterator["_Part"]:
    """Squares (n, S, S, 3), the file's answers to the whole pictures, and (n,) bool: fresh."""

    def work(numbered: tuple[Pixels, bool]) -> tuple[Pixels, Answers, bool]:
        whole, fresh = numbered
        return square(whole, portable.size_), portable.ask(whole[None]), fresh

    for start in range(0, len(shown.images), AT_A_TIME):
        with thread_pool() as executor:
            done = list(ordered_map(executor, work, _readable(shown, start), ahead=2 * workers()))
        if done:
            squares, answers, fresh = zip(*done, strict=True)
            yield np.stack(squares), list(answers), np.array(fresh)


def _readable(shown: ReferenceImages, start: int) -> Iterator[tuple[Pixels, bool]]:
    """Some pictures, and whether each is fresh."""
    for i in range(start, min(start + AT_A_TIME, len(shown.images))):
        try:
            yield shown.images.picture(i), bool(shown.fresh[i])
        except PictureError:
            continue


def _same(got: NDArray[Any], told: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) bool."""
    return np.asarray((got == told).all(1) if told.ndim == 2 else got == told)


def _decided(told: Predictions, recognizer: "Recognizer") -> NDArray[np.bool_]:
    """(N,) bool: the labels are no matter of the last digits."""
    if recognizer.multi_label_:
        thresholds = np.array(recognizer.decision_rule_.label_thresholds or 0.5)
        return np.asarray((np.abs(told.probabilities - thresholds) >= TIE).all(1))
    best = np.sort(told.probabilities, axis=1)
    return np.asarray(best[:, -1] - best[:, -2] >= TIE)
