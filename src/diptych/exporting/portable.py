"""``Portable``: a recognizer in an ONNX file, run by onnxruntime alone. Nothing here imports torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Pixels
from diptych.data.images import Images, ImagesLike
from diptych.data.resources import worker_count
from diptych.data.store import Batch
from diptych.data.training_digests import stored_digests
from diptych.engine import runtime
from diptych.errors import ArtefactError, UsageError
from diptych.files import did_you_mean
from diptych.progress import Bar
from diptych.recognition.predictions import Predictions

if TYPE_CHECKING:
    from diptych.report import Report

FORMAT = 1
BATCH_PICTURES = 8  # in one call of the graph, by each thread
CHUNK_PICTURES = 1024  # in one part of `predict_batches`
GraphOutputs = dict[str, NDArray[Any]]
_BatchOutputs = tuple[GraphOutputs, NDArray[np.bool_]]  # and (B,) bool: which pictures could be read


class Portable:
    """A recognizer in an ONNX file that ``diptych.export`` wrote.

    Attributes
    ----------
    classes_, size_, multi_label_
        As in :class:`diptych.Recognizer`.
    facts
        The file's metadata: the calibration, the parity with the model, versions.
    """

    classes_: tuple[str, ...]
    size_: int
    multi_label_: bool

    def __init__(self, graph: bytes, name: str) -> None:
        """Internal: use :meth:`open`."""
        try:
            self._session = runtime.inference_session(graph)
        except UsageError:
            raise
        except Exception as error:  # onnxruntime's own errors, of several kinds
            raise ArtefactError(f"{name} is damaged or not an ONNX file. Export the model again.") from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        try:
            self.facts: dict[str, Any] = {key: json.loads(value) for key, value in metadata.items()}
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
            The file does not exist, is damaged, or was written by another program.
        UsageError
            onnxruntime is not installed.
        """
        try:
            return cls(Path(path).read_bytes(), str(path))
        except FileNotFoundError:
            raise ArtefactError(f"{path} is not there.{did_you_mean(path)}") from None
        except OSError as error:
            raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error

    def predict(self, images: ImagesLike) -> Predictions:
        """As :meth:`diptych.Recognizer.predict`, with the same results."""
        images = Images.of(images, "none")
        return self._predictions(list(self._run_batches(images)), images)

    def predict_batches(self, images: ImagesLike) -> Iterator[Predictions]:
        """The same in parts of about a thousand pictures, in order: constant memory for any number of pictures."""
        images = Images.of(images, "none")
        batches: list[_BatchOutputs] = []
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

    def run_graph(self, pixels: Pixels) -> GraphOutputs:
        """All outputs of the graph by name, for pictures (N, H, W, 3) uint8 of any one size."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {"pictures": pixels}), strict=True))

    def _run_batches(self, images: Images) -> Iterator[_BatchOutputs]:
        """The graph's outputs batch by batch, with pictures decoded ahead in other threads."""

        def work(batch: Batch) -> _BatchOutputs:
            pixels, readable = batch
            return self.run_graph(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))), readable

        batches = images.decoded_batches(self.size_, batch=BATCH_PICTURES)
        if len(images) <= BATCH_PICTURES:  # as one answer of a server: nothing that a second thread could do
            yield from map(work, batches)
            return
        with Bar("Predicting", len(images)) as bar, thread_pool() as executor:
            for outputs, readable in ordered_map(executor, work, batches, ahead=2 * worker_count()):
                bar.advance(len(readable))
                yield outputs, readable

    def _predictions(self, batches: list[_BatchOutputs], images: Images) -> Predictions:
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
