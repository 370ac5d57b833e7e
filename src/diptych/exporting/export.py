"""``export``: write a recognizer as one ONNX file, once its predictions are proved equal to the model's."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych import artefact, files
from diptych.data.images import Images, ImagesLike
from diptych.data.training_digests import digests_text
from diptych.data.transforms import to_float
from diptych.errors import ExportError, UsageError
from diptych.exporting import graph, int8
from diptych.exporting.onnx_model import FORMAT
from diptych.exporting.parity import GOOD_SHARE, Parity, measure_parity
from diptych.exporting.portable import Portable
from diptych.exporting.reference_images import ReferenceImages, reference_images
from diptych.loading import load
from diptych.recognition.inference import onnx_backend
from diptych.recognition.recognizer import Recognizer

if TYPE_CHECKING:
    from onnx import ModelProto

log = logging.getLogger("diptych")
MAX_BYTES = 2_000_000_000  # of one file in this format
VERSIONED_PACKAGES = ("diptych", "torch", "timm", "numpy", "pillow", "onnx", "onnxruntime")
SEPARATE_PARITY_RATIO = 4  # with so many times the calibration pictures, parity is measured on the others


def export(
    model: Recognizer | str | Path, path: str | Path, *, int8: bool = False, check: ImagesLike | None = None
) -> Portable:
    """Write a recognizer as an ONNX file, with its preparation of pictures and its calibration in the graph.

    The graph takes decoded pictures, uint8 RGB (n, height, width, 3) of any size, and returns ``probabilities``,
    ``labels``, ``unknown``, ``sets`` and ``logits``; its metadata name the classes, the calibration and the versions.
    It is compared with the model on pictures first: in float32 every label has to be the same, in int8 99 %.

    Parameters
    ----------
    model
        A recognizer, or its folder.
    path
        Where to write; ends in .onnx.
    int8
        Whether the network is quantised to 8-bit integers, which needs real pictures to measure its scales on.
    check
        Pictures for the comparison (up to 2,000 are used); ``None``: those that the model was validated and fitted on,
        as far as their files still exist.

    Returns
    -------
    The file, opened; ``facts["parity"]`` is the result of the comparison.

    Raises
    ------
    ExportError
        The graph's predictions differ from the model's; nothing is written.
    UsageError
        onnx is not installed, the network cannot be converted, or there are no real pictures for int8.
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise UsageError(f"{target} does not end in .onnx. Name a file such as {target.with_suffix('.onnx')}.")
    if not onnx_backend.is_available():
        raise UsageError("Exporting needs onnx and onnxruntime. Install them with: pip install 'diptych[export]'")
    recognizer = model if isinstance(model, Recognizer) else load(model)
    if not isinstance(recognizer, Recognizer):
        raise UsageError(f"{model} is a synthesizer; only recognizers can be exported. Name a recognizer's folder.")
    reference = reference_images(recognizer, check)
    if int8 and not reference.real:
        raise UsageError("int8 needs real pictures, and the model's no longer exist. Name others with --check.")
    network = graph.network_graph(recognizer)
    if not int8:
        return _write_best(recognizer, iter([("fp32", network)]), reference, target)
    calibration, rest = _split_calibration(recognizer, reference)
    return _write_best(recognizer, _int8_candidates(recognizer, network, calibration), rest, target)


def _write_best(
    recognizer: Recognizer,
    candidates: Iterator[tuple[str, "ModelProto"]],
    reference: ReferenceImages,
    target: Path,
) -> Portable:
    """Write the first candidate whose parity is good, else the best of those that pass the check."""
    preprocessing, decision = graph.preprocessing_graph(recognizer.size_), graph.decision_graph(recognizer)
    first_error: ExportError | None = None
    best: tuple[ModelProto, dict[str, Any], Parity] | None = None
    for precision, network in candidates:
        joined, facts = graph.join_graphs(preprocessing, network, decision), _facts(recognizer, precision)
        graph.add_metadata(joined, facts)
        result = measure_parity(Portable(_serialize(joined), target.name), recognizer, reference)
        log.debug("%s: %s", precision, result)
        try:
            result.check(precision.split(" ")[0])
        except ExportError as error:
            first_error = first_error or error
            continue
        if best is None or result.expected_share > best[2].expected_share:
            best = joined, facts, result
        if result.expected_share >= GOOD_SHARE:
            break
    if best is None:
        assert first_error is not None  # there is at least one candidate
        raise first_error
    joined, facts, result = best
    return _write(joined, target, {**facts, "parity": result.json()}, result)


def _split_calibration(recognizer: Recognizer, reference: ReferenceImages) -> tuple[Images, ReferenceImages]:
    """Readable pictures to measure int8 scales on, and those for parity: the others, if there are many."""
    count = len(reference.images)
    rows = range(0, count, max(1, count // int8.CALIBRATION_PICTURES))[: int8.CALIBRATION_PICTURES]
    calibration = reference.images[list(rows)].readable(recognizer.size_)
    if count < SEPARATE_PARITY_RATIO * len(rows):
        return calibration, reference
    return calibration, reference[sorted(set(range(count)) - set(rows))]


def _int8_candidates(
    recognizer: Recognizer, network: "ModelProto", calibration: Images
) -> Iterator[tuple[str, "ModelProto"]]:
    return int8.int8_candidates(network, to_float(calibration.pixels(recognizer.size_)).numpy())


def _facts(recognizer: Recognizer, precision: str) -> dict[str, Any]:
    trained = recognizer.training_digests
    digests = {"digests": digests_text(trained)} if len(trained) else {}  # an earlier version saved none
    return {
        **digests,
        "format": FORMAT,
        "kind": "recognizer",
        "classes": list(recognizer.classes_),
        "multi_label": recognizer.multi_label_,
        "size": recognizer.size_,
        "input": "pictures: uint8 RGB, (n, height, width, 3), any size",
        "resize": "the whole picture, bicubic, antialiased, across and then down, rounded to uint8 after each",
        "temperature": recognizer.temperature_,
        "calibration": recognizer.decision_rule_.to_json(),
        "precision": precision,
        "versions": artefact.versions(VERSIONED_PACKAGES),
    }


def _serialize(model: "ModelProto") -> bytes:
    if model.ByteSize() > MAX_BYTES:
        raise UsageError("This network is too large for one ONNX file (2 GB). Choose a smaller one, or try --int8.")
    return bytes(model.SerializeToString())


def _write(model: "ModelProto", target: Path, facts: dict[str, Any], result: Parity) -> Portable:
    graph.add_metadata(model, facts)
    content = _serialize(model)
    files.write_bytes(target, content)
    log.info("%s: %.1f MB, %s", target, len(content) / 1e6, result)
    return Portable(content, str(target))
