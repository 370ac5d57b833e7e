"""``Portable``: a recognizer in an ONNX file, answered by onnxruntime alone. Nothing here imports torch."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Pixels
from diptych.data.images import Images
from diptych.data.resources import workers
from diptych.data.store import Batch
from diptych.engine import runtime
from diptych.errors import ArtefactError, PictureError, UsageError
from diptych.progress import Bar
from diptych.recognition.predictions import Predictions

if TYPE_CHECKING:
    from diptych.report import Report

FORMAT = 1
BATCH = 8  # pictures asked about at a time, by each thread
CHUNK = 1024  # pictures told of at a time
Answers = dict[str, NDArray[Any]]


class Portable:
    """A recognizer that ``diptych.export`` wrote.

    Attributes
    ----------
    classes_, size_, multi_label_
        As :class:`diptych.Recognizer` has them.
    facts
        All that the file tells of itself: the calibration, the parity proved, versions.
    """

    classes_: tuple[str, ...]
    size_: int
    multi_label_: bool

    def __init__(self, graph: bytes, name: str) -> None:
        """Not for people: use :meth:`open`."""
        try:
            self._session = runtime.session(graph)
        except UsageError:
            raise
        except Exception as error:  # onnxruntime's own, of several kinds
            raise ArtefactError(f"{name} is damaged or no ONNX file. Export the model again.") from error
        told = self._session.get_modelmeta().custom_metadata_map
        try:
            self.facts: dict[str, Any] = {name: json.loads(value) for name, value in told.items()}
            version, self.size_ = int(self.facts["format"]), int(self.facts["size"])
            self.classes_, self.multi_label_ = tuple(self.facts["classes"]), bool(self.facts["multi_label"])
        except (KeyError, ValueError, TypeError) as error:
            raise ArtefactError(f"{name} was not exported by Diptych. Make one with: diptych export MODEL") from error
        if version > FORMAT:
            raise ArtefactError(f"{name} was exported by a newer Diptych. Upgrade: pip install --upgrade diptych")
        self._outputs = [output.name for output in self._session.get_outputs()]

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Read an exported recognizer.

        Raises
        ------
        ArtefactError
            The file is not there, is damaged, or is another program's.
        UsageError
            onnxruntime is not installed.
        """
        try:
            return cls(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error

    def predict(self, images: Images) -> Predictions:
        """As :meth:`diptych.Recognizer.predict`, and with the same answers."""
        parts = list(self._asked(images))
        return self._told(parts, images.known_errors())

    def predict_batches(self, images: Images) -> Iterator[Predictions]:
        """The same about a thousand pictures at a time, in order: constant memory for any number of them."""
        parts: list[tuple[Answers, NDArray[np.bool_]]] = []
        start = held = 0
        for part in self._asked(images):
            parts.append(part)
            held += len(part[1])
            if held >= CHUNK:
                yield self._told(parts, images[start : start + held].known_errors())
                start, held, parts = start + held, 0, []
        if parts or len(images) == 0:
            yield self._told(parts, images[start:].known_errors())

    def evaluate(self, images: Images, *, unknown: Images | None = None) -> "Report":
        """As :meth:`diptych.Recognizer.evaluate`, but without reasons, and of ``unknown`` nothing; this needs torch.

        Raises
        ------
        DataError
            The pictures have no labels, or a class that this recognizer does not know.
        UsageError
            ``unknown`` is given.
        """
        from diptych.exporting.evaluation import evaluate_logits

        if unknown is not None:
            raise UsageError("How well the unknown is noticed is judged on the model itself. Name its folder.")
        return evaluate_logits(
            self.logits,
            images,
            classes=self.classes_,
            size=self.size_,
            multi_label=self.multi_label_,
            calibration=self.facts["calibration"],
        )

    def logits(self, images: Images) -> NDArray[np.float32]:
        """(N, K) of readable pictures."""
        parts = [answers["logits"] for answers, _ in self._asked(images)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)), np.float32)

    def ask(self, pixels: Pixels) -> Answers:
        """All that the graph tells of pictures, (N, H, W, 3) uint8 of any one size, by the names of its outputs."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {"pictures": pixels}), strict=True))

    def _asked(self, images: Images) -> Iterator[tuple[Answers, NDArray[np.bool_]]]:
        """Answers and which pictures could be read, some at a time; pictures are decoded beside and ahead."""

        def work(batch: Batch) -> tuple[Answers, NDArray[np.bool_]]:
            pixels, good = batch
            return self.ask(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))), good

        with Bar("Predicting", len(images)) as bar, thread_pool() as executor:
            batches = images.decoded_batches(self.size_, batch=BATCH)
            for answers, good in ordered_map(executor, work, batches, ahead=2 * workers()):
                bar.advance(len(good))
                yield answers, good

    def _told(self, parts: list[tuple[Answers, NDArray[np.bool_]]], errors: Mapping[int, PictureError]) -> Predictions:
        good = np.concatenate([np.zeros(0, bool), *(mask for _, mask in parts)])
        held = {
            name: np.concatenate([answers[name] for answers, _ in parts])
            for name in self._outputs
            if parts
        }  # fmt: skip
        k = len(self.classes_)
        chances = held.get("probabilities", np.zeros((0, k), np.float32))
        chances[~good] = np.nan
        labels = held.get("labels", np.zeros((0, k), bool) if self.multi_label_ else np.zeros(0, np.int64))
        if self.multi_label_:
            labels[~good] = False
            names = [", ".join(self.classes_[i] for i in row.nonzero()[0]) for row in labels]
            sure = np.where(labels, chances, 1 - chances).min(1, initial=1.0)
        else:
            labels[~good] = -1
            names = [self.classes_[i] if i >= 0 else "" for i in labels.tolist()]
            sure = chances.max(1, initial=-np.inf)
        sets = held.get("sets")
        strange = held.get("unknown", np.zeros(0, bool)) | ~good
        return Predictions(
            self.classes_, labels, names, sure, chances, strange, None if sets is None else sets & good[:, None], errors
        )
