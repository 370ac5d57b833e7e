"""``OnnxModel``: an ONNX file that Diptych wrote, run by onnxruntime on pictures. Nothing here imports torch."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from diptych import json_reader
from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import Pixels
from diptych.data.images import Images
from diptych.data.store import Batch
from diptych.engine import runtime
from diptych.errors import ArtefactError, UsageError
from diptych.files import did_you_mean
from diptych.opening import read_file
from diptych.progress import Bar
from diptych.resources import worker_count

FORMAT = 1
MAX_SIZE = 8192  # px a side
BATCH_PICTURES = 8  # in one call of the graph, by each thread
GraphOutputs = dict[str, NDArray[Any]]
BatchOutputs = tuple[GraphOutputs, NDArray[np.bool_]]  # and (B,) bool: which pictures could be read


class GraphFacts(Struct):
    """What the metadata of every exported file holds."""

    format: int
    kind: str
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)]
    classes: list[str] = []
    multi_label: bool = False
    digests: str = ""
    calibration: dict[str, Any] = {}
    dimensions: Annotated[int, Meta(ge=1)] = 1


class OnnxModel:
    """A graph from pictures, with facts in its metadata.

    Attributes
    ----------
    size_
        Side of the network's input, in px.
    facts
        The file's metadata.
    """

    kind: ClassVar[str]

    def __init__(self, graph: bytes, name: str) -> None:
        """Internal: use :meth:`open`."""
        self._made_of = graph, name
        try:
            self._session = runtime.inference_session(graph)
        except UsageError:
            raise
        except Exception as error:  # onnxruntime's own errors, of several kinds
            raise ArtefactError(f"{name} is damaged or not an ONNX file. Export the model again.") from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        try:
            self.facts: dict[str, Any] = {
                key: json_reader.parse(value, foreign=True) for key, value in metadata.items()
            }
            known = json_reader.convert(self.facts, GraphFacts)
        except json_reader.JSONError as error:
            raise ArtefactError(
                f"{name} was not exported by Diptych ({error.reason}). Make one with: diptych export MODEL"
            ) from error
        kind, self.size_ = known.kind, known.size
        if known.format > FORMAT:
            raise ArtefactError(f"{name} was exported by a newer Diptych. Upgrade: pip install --upgrade diptych")
        if kind != self.kind:
            raise ArtefactError(f"{name} is the file of another kind of model ({kind}, not {self.kind}). Name another.")
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to another process as its file; a session of onnxruntime cannot."""
        return type(self), self._made_of

    def identity(self) -> dict[str, Any]:
        """What its outputs depend on; JSON-able."""
        return {"sha256": hashlib.sha256(self._made_of[0]).hexdigest()}

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Read an exported model.

        Raises
        ------
        ArtefactError
            The file does not exist, is damaged, or was written by another program.
        UsageError
            onnxruntime is not installed.
        """
        try:
            return cls(read_file(path), str(path))
        except FileNotFoundError:
            raise ArtefactError(f"{path} is not there.{did_you_mean(path)}") from None
        except OSError as error:
            raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error

    def run_graph(self, pixels: Pixels) -> GraphOutputs:
        """All outputs of the graph by name, for pictures (N, H, W, 3) uint8 of any one size."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {"pictures": pixels}), strict=True))

    def _run_batches(self, images: Images) -> Iterator[BatchOutputs]:
        """The graph's outputs batch by batch, with pictures decoded ahead in other threads."""

        def work(batch: Batch) -> BatchOutputs:
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
