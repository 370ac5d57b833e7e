"""Parity: the comparison, on pictures, of an exported file's predictions with its model's."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Pixels, to_square
from diptych.data.images import Images
from diptych.errors import ExportError, PictureError
from diptych.exporting.onnx_model import GraphOutputs
from diptych.exporting.portable import Portable
from diptych.exporting.reference_images import ReferenceImages
from diptych.recognition.predictions import Predictions
from diptych.resources import worker_count

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

    _Chunk = tuple[Pixels, list[GraphOutputs], NDArray[np.bool_]]

CHUNK_PICTURES = 256
TIE_PROBABILITY = 1e-5  # a lead in probability below this is a tie
MIN_SHARE = {"fp32": 1.0, "int8": 0.99}  # of the labels that have to be the same
MIN_UNKNOWN_SHARE = {"fp32": 0.99, "int8": 0.9}  # of the flags "unknown"; one picture may always lie on the threshold
GOOD_SHARE = 0.995  # of the labels expected to be the same on fresh pictures: the minimum and some room
MIN_PROBABILITY = 1e-30  # smaller ones are raised to it before the logarithm
MAX_DIFFERENCE = 0.02  # of a probability in fp32: the most that single levels of 255 in the resized picture cause


@dataclass(frozen=True)
class Parity:
    """How a file's predictions compare with its model's.

    Attributes
    ----------
    pictures
        How many were given to both, at their own sizes.
    source
        What they are, in words.
    same_labels, ties
        How many got the same label (with several labels a picture: all the same); and of the others, for how many the
        model's own lead in probability is below 0.00001.
    same_unknown
        For how many both agree whether the picture is unknown.
    max_difference
        The largest difference of a probability.
    expected_share
        The share of same labels that is expected on pictures that the model was not fitted on, where its margins are
        smaller: see :func:`expected_same_share`.
    """

    pictures: int
    source: str
    same_labels: int
    ties: int
    same_unknown: int
    max_difference: float
    expected_share: float = 1.0

    @property
    def share(self) -> float:
        """The share of pictures, ties left out, that got the same label."""
        decided = self.pictures - self.ties
        return self.same_labels / decided if decided else 1.0

    def check(self, precision: str) -> None:
        """Raise ExportError if labels or flags agree too rarely for ``precision``, "fp32" or "int8"."""
        decided = self.pictures - self.ties
        if self.share < MIN_SHARE[precision]:
            raise ExportError(
                f"The {precision} graph predicts another label than the model for {decided - self.same_labels} of "
                f"{self.pictures} pictures ({self.source}), so no file was written. "
                + ("Export without --int8." if precision == "int8" else "Please report this with the network's name.")
            )
        differing = self.pictures - self.same_unknown
        if differing > 1 and self.same_unknown < MIN_UNKNOWN_SHARE[precision] * self.pictures:
            raise ExportError(
                f"The {precision} graph and the model disagree on {differing} of {self.pictures} pictures "
                f"({self.source}) as to whether they are unknown, so no file was written. "
                + ("Export without --int8." if precision == "int8" else "Please report this with the network's name.")
            )
        if precision == "fp32" and self.max_difference > MAX_DIFFERENCE:
            raise ExportError(
                f"A probability of the graph differs from the model's by {self.max_difference:.3f} on {self.pictures} "
                f"pictures ({self.source}), so no file was written. Please report this with the network's name."
            )

    def json(self) -> dict[str, Any]:
        """As the file's metadata store it."""
        return asdict(self)

    def __str__(self) -> str:
        ties = f" ({self.ties} ties)" if self.ties else ""
        return (
            f"the same labels on {self.same_labels} of {self.pictures} {self.source}{ties}, {self.expected_share:.2%} "
            f"expected on fresh pictures; probabilities differ by at most {self.max_difference:.1e}"
        )


def measure_parity(portable: Portable, recognizer: "Recognizer", reference: ReferenceImages) -> Parity:
    """Compare both on pictures: the file gets them at their own size, the recognizer resizes them itself.

    Raises
    ------
    ExportError
        None of the pictures can be read.
    """
    chunks = [_compare(chunk, recognizer) for chunk in _chunks(portable, reference)]
    if not chunks:
        raise ExportError("None of the pictures for the comparison can be read. Name others with --check.")
    same, decided, same_unknown, fresh, differences, margins, shrinkages = (
        np.concatenate(part) for part in zip(*chunks, strict=True)
    )
    return Parity(
        len(same),
        reference.description,
        int(same.sum()),
        int((~same & ~decided).sum()),
        int(same_unknown.sum()),
        float(differences.max()),
        float(same.mean())
        if recognizer.multi_label_
        else expected_same_share(margins[fresh] if fresh.any() else margins, shrinkages),
    )


def expected_same_share(margins: NDArray[np.float32], shrinkages: NDArray[np.float32]) -> float:
    """The expected share of unchanged labels if any margin, (n,), may shrink by the amount of any picture, (m,).

    Margins small enough for rounding to change a label are too rare to count, so their share is computed from the
    distributions of all margins and all shrinkages.
    """
    changed = len(shrinkages) - np.searchsorted(np.sort(shrinkages), margins, side="right")
    return 1 - float(changed.mean()) / len(shrinkages)


def _compare(chunk: "_Chunk", recognizer: "Recognizer") -> tuple[NDArray[Any], ...]:
    """Per picture: same label, no tie, same unknown, fresh, probability difference, margin, shrinkage of the margin."""
    squares, outputs, fresh = chunk
    expected = recognizer.predict(Images.from_arrays(squares))
    exported = {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}
    differences = np.abs(exported["probabilities"] - expected.probabilities).max(1)
    best = expected.probabilities.argmax(1)
    margins, exported_margins = _margins(expected.probabilities, best), _margins(exported["probabilities"], best)
    same, decided = _same_labels(exported["labels"], expected.labels), _is_decided(expected, recognizer)
    same_unknown = exported["unknown"] == expected.unknown
    return same, decided, same_unknown, fresh, differences, margins, margins - exported_margins


def _margins(probabilities: NDArray[Any], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) the lead of each row's class, (N,), over the best other one, in logarithms of (N, K) probabilities."""
    logs = np.log(np.maximum(probabilities, MIN_PROBABILITY))
    rows = np.arange(len(logs))
    of_class = logs[rows, classes]
    logs[rows, classes] = -np.inf
    return np.asarray(of_class - logs.max(1), np.float32)


def _chunks(portable: Portable, reference: ReferenceImages) -> Iterator["_Chunk"]:
    """Resized squares (n, S, S, 3), the graph's outputs for the original pictures, and (n,) bool: fresh."""

    def work(item: tuple[Pixels, bool]) -> tuple[Pixels, GraphOutputs, bool]:
        pixels, fresh = item
        return to_square(pixels, portable.size_), portable.run_graph(pixels[None]), fresh

    for start in range(0, len(reference.images), CHUNK_PICTURES):
        with thread_pool() as executor:
            results = list(ordered_map(executor, work, _readable(reference, start), ahead=2 * worker_count()))
        if results:
            squares, outputs, fresh = zip(*results, strict=True)
            yield np.stack(squares), list(outputs), np.array(fresh)


def _readable(reference: ReferenceImages, start: int) -> Iterator[tuple[Pixels, bool]]:
    """The readable pictures of one chunk, and whether each is fresh."""
    for i in range(start, min(start + CHUNK_PICTURES, len(reference.images))):
        try:
            yield reference.images.picture(i), bool(reference.fresh[i])
        except PictureError:
            continue


def _same_labels(exported: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) bool, from (N,) class numbers or (N, K) bool each."""
    return np.asarray((exported == expected).all(1) if expected.ndim == 2 else exported == expected)


def _is_decided(predictions: Predictions, recognizer: "Recognizer") -> NDArray[np.bool_]:
    """(N,) bool: the labels do not hang on the last digits of the probabilities."""
    if recognizer.multi_label_:
        thresholds = np.array(recognizer.decision_rule_.label_thresholds or 0.5)
        return np.asarray((np.abs(predictions.probabilities - thresholds) >= TIE_PROBABILITY).all(1))
    ascending = np.sort(predictions.probabilities, axis=1)
    return np.asarray(ascending[:, -1] - ascending[:, -2] >= TIE_PROBABILITY)
