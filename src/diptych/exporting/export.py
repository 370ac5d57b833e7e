"""``export``: write a recognizer as one ONNX file, after proof that it answers as the model does."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych import artefact, files
from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.errors import ExportError, UsageError
from diptych.exporting import graph, int8
from diptych.exporting.parity import ENOUGH, Parity, parity
from diptych.exporting.portable import FORMAT, Portable
from diptych.exporting.reference_images import ReferenceImages, reference_images
from diptych.loading import load
from diptych.recognition.inference import onnx_backend
from diptych.recognition.recognizer import Recognizer

if TYPE_CHECKING:
    from onnx import ModelProto

log = logging.getLogger("diptych")
LARGEST_BYTES = 2_000_000_000  # what one file of this format can hold
VERSIONED = ("diptych", "torch", "timm", "numpy", "pillow", "onnx", "onnxruntime")
JUDGED_APART = 4  # times as many pictures as scales are measured on, and those are judged on others


def export(
    model: Recognizer | str | Path, path: str | Path, *, int8: bool = False, check: Images | str | Path | None = None
) -> Portable:
    """Write a recognizer as an ONNX file, with its preparation of pictures and its calibration in the graph.

    The graph takes decoded pictures, uint8 RGB (n, height, width, 3) of any size, and tells ``probabilities``,
    ``labels``, ``unknown``, ``sets`` and ``logits``; its metadata name the classes, the calibration and the versions.
    It is compared with the model on pictures first: in float32 every label has to be the same, in int8 99 %.

    Parameters
    ----------
    model
        A recognizer, or its folder.
    path
        Where to write; ends in .onnx.
    int8
        Whether the network is turned to 8-bit integers, which needs real pictures to measure their scales on.
    check
        Pictures to compare on (up to 2,000 of them); ``None``: those that the model was validated and fitted on, where
        they are still in place.

    Returns
    -------
    The file, opened; ``facts["parity"]`` tells of the comparison.

    Raises
    ------
    ExportError
        The graph's answers are not the model's; nothing is written.
    UsageError
        onnx is not installed, the network cannot be converted, or there are no real pictures for int8.
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise UsageError(f"{target} does not end in .onnx. Name a file such as {target.with_suffix('.onnx')}.")
    if not onnx_backend.available():
        raise UsageError("Exporting needs onnx and onnxruntime. Install them with: pip install 'diptych[export]'")
    recognizer = model if isinstance(model, Recognizer) else load(model)
    if not isinstance(recognizer, Recognizer):
        raise UsageError(f"{model} is a synthesizer; recognizers are exported. Name the folder of one.")
    shown = reference_images(recognizer, check)
    if int8 and not shown.real:
        raise UsageError("int8 needs real pictures, and the model's are no longer in place. Name some with --check.")
    network = graph.network_graph(recognizer)
    ways, judged = _int8(recognizer, network, shown) if int8 else (iter([("fp32", network)]), shown)
    return _proved(recognizer, ways, judged, target)


def _proved(
    recognizer: Recognizer, ways: Iterator[tuple[str, "ModelProto"]], shown: ReferenceImages, target: Path
) -> Portable:
    """Write the first of these networks that answers as the model does with some room, else the one that does best."""
    prepare, reading = graph.preprocessing_graph(recognizer.size_), graph.decision_graph(recognizer)
    failed: ExportError | None = None
    best: tuple[ModelProto, dict[str, Any], Parity] | None = None
    for way, network in ways:
        whole, facts = graph.join_graphs(prepare, network, reading), _facts(recognizer, way)
        graph.describe(whole, facts)
        found = parity(Portable(_bytes(whole), target.name), recognizer, shown)
        log.debug("%s: %s", way, found)
        try:
            found.check(way.split(" ")[0])
        except ExportError as error:
            failed = failed or error
            continue
        if best is None or found.fresh > best[2].fresh:
            best = whole, facts, found
        if found.fresh >= ENOUGH:
            break
    if best is None:
        assert failed is not None  # there is always a way
        raise failed
    whole, facts, found = best
    return _written(whole, target, {**facts, "parity": found.json()}, found)


def _int8(
    recognizer: Recognizer, network: "ModelProto", shown: ReferenceImages
) -> tuple[Iterator[tuple[str, "ModelProto"]], ReferenceImages]:
    """The ways to int8, and the pictures to judge them on: others than the scales are measured on, if they are many."""
    count = len(shown.images)
    rows = range(0, count, max(1, count // int8.CALIBRATED_ON))[: int8.CALIBRATED_ON]
    measured = shown.images[list(rows)].readable(recognizer.size_)
    rest = shown if count < JUDGED_APART * len(rows) else shown[sorted(set(range(count)) - set(rows))]
    return int8.int8_candidates(network, to_float(measured.pixels(recognizer.size_)).numpy()), rest


def _facts(recognizer: Recognizer, way: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": "recognizer",
        "classes": list(recognizer.classes_),
        "multi_label": recognizer.multi_label_,
        "size": recognizer.size_,
        "input": "pictures: uint8 RGB, (n, height, width, 3), any size",
        "resize": "the whole picture, bicubic, antialiased, across and then down, rounded to uint8 after each",
        "temperature": recognizer.temperature_,
        "calibration": recognizer.decision_rule_.to_json(),
        "precision": way,
        "versions": artefact.versions(VERSIONED),
    }


def _bytes(whole: "ModelProto") -> bytes:
    if whole.ByteSize() > LARGEST_BYTES:
        raise UsageError("This network is too large for one ONNX file (2 GB). Choose a smaller one, or try --int8.")
    return bytes(whole.SerializeToString())


def _written(whole: "ModelProto", target: Path, facts: dict[str, Any], found: Parity) -> Portable:
    graph.describe(whole, facts)
    packed = _bytes(whole)
    files.write_bytes(target, packed)
    log.info("%s: %.1f MB, %s", target, len(packed) / 1e6, found)
    return Portable(packed, str(target))
