"""``Portable``: a recognizer in an ONNX file, run by onnxruntime alone. Nothing here imports torch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images, ImagesLike
from diptych.data.training_digests import stored_digests
from diptych.engine import row_jobs
from diptych.errors import UsageError
from diptych.exporting.onnx_model import BatchOutputs, OnnxModel
from diptych.recognition.prediction_jobs import predictions_by
from diptych.recognition.predictions import Predictions

if TYPE_CHECKING:
    from diptych.report import Report

CHUNK_PICTURES = 1024  # in one part of `predict_batches`


class Portable(OnnxModel):
    """A recognizer in an ONNX file that ``diptych.export`` wrote.

    Attributes
    ----------
    classes_, size_, multi_label_
        As in :class:`diptych.Recognizer`.
    facts
        The file's metadata: the calibration, the parity with the model, versions.
    """

    classes_: tuple[str, ...]
    multi_label_: bool

    kind = "recognizer"

    def __init__(self, graph: bytes, name: str) -> None:
        """Internal: use :meth:`open`."""
        super().__init__(graph, name)
        self.classes_, self.multi_label_ = tuple(self.facts["classes"]), bool(self.facts["multi_label"])

    def predict(self, images: ImagesLike) -> Predictions:
        """As :meth:`diptych.Recognizer.predict`, with the same results."""
        images = Images.of(images, "none")
        return self._predictions(list(self._run_batches(images)), images)

    def predict_batches(self, images: ImagesLike) -> Iterator[Predictions]:
        """The same in parts of about a thousand pictures, in order: constant memory for any number of pictures."""
        images = Images.of(images, "none")
        if (runner := row_jobs.runner()) is not None:
            yield from predictions_by(runner, self, images)
            return
        batches: list[BatchOutputs] = []
        start = count = 0
        for batch in self._run_batches(images):
            batches.append(batch)
            count += len(batch[1])
            if count >= CHUNK_PICTURES:
                yield self._predictions(batches, images[start : start + count])
                start, count, batches = start + count, 0, []
        if batches or len(images) == 0:
            yield self._predictions(batches, images[start:])

    def evaluate(self, images: ImagesLike, labels: Any = None, *, unknown: ImagesLike | None = None) -> "Report":
        """As :meth:`diptych.Recognizer.evaluate`, without explanations and without ``unknown``; this needs torch.

        Raises
        ------
        DataError
            The pictures have no labels, a class that this recognizer does not know, or were all trained on.
        UsageError
            ``unknown`` is given.
        """
        from diptych.exporting.evaluation import evaluate_logits

        if unknown is not None:
            raise UsageError("Unknown pictures are evaluated with the model itself, not with its ONNX file. "
                             "Name the model's folder.")  # fmt: skip
        return evaluate_logits(
            self.logits,
            Images.of(images, labels),
            classes=self.classes_,
            size=self.size_,
            multi_label=self.multi_label_,
            calibration=self.facts["calibration"],
            trained=stored_digests(self.facts) if "digests" in self.facts else None,
        )

    def logits(self, images: Images) -> NDArray[np.float32]:
        """(N, K) logits of readable pictures."""
        batches = [outputs["logits"] for outputs, _ in self._run_batches(images)]
        return np.concatenate(batches) if batches else np.zeros((0, len(self.classes_)), np.float32)

    def _predictions(self, batches: list[BatchOutputs], images: Images) -> Predictions:
        readable = np.concatenate([np.zeros(0, bool), *(mask for _, mask in batches)])
        outputs = (
            {name: np.concatenate([output[name] for output, _ in batches]) for name in self._outputs} if batches else {}
        )
        k, errors = len(self.classes_), images.known_errors()
        probabilities = outputs.get("probabilities", np.zeros((0, k), np.float32))
        probabilities[~readable] = np.nan
        labels = outputs.get("labels", np.zeros((0, k), bool) if self.multi_label_ else np.zeros(0, np.int64))
        if self.multi_label_:
            labels[~readable] = False
            names = [", ".join(self.classes_[i] for i in row.nonzero()[0]) for row in labels]
            confidence = np.where(labels, probabilities, 1 - probabilities).min(1, initial=1.0)
        else:
            labels[~readable] = -1
            names = [self.classes_[i] if i >= 0 else "" for i in labels.tolist()]
            confidence = probabilities.max(1, initial=-np.inf)
        sets = outputs.get("sets")
        if sets is not None:
            sets = sets & readable[:, None]
        unknown = outputs.get("unknown", np.zeros(0, bool)) | ~readable
        return Predictions(self.classes_, labels, names, confidence, probabilities, unknown, sets, errors, images)
