"""The network quantised to 8-bit integers: a quarter of the size, and faster where the CPU multiplies them.

Weights always have one scale per channel. Activations are rounded with scales measured on pictures, so that the
prediction for a picture does not depend on the others in its batch (static quantisation). Where that changes labels,
only the weights of the most sensitive layers are rounded: the file is as small, those layers are no faster, and mostly
the predictions are closer to the model's; the last candidate does so for every layer.
See "Quantize ONNX models" in onnxruntime's documentation.
"""

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.engine.runtime import inference_session

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CALIBRATION_PICTURES = 128
SENSITIVITY_PICTURES = 16  # of them, to rank the layers by their sensitivity to rounding
WEIGHT_ONLY_SHARES = (0.125, 0.25, 0.5)  # of the layers, tried one after the other
DENSE = ("MatMul", "Gemm")
LAYERS = ("Conv", *DENSE)


def int8_candidates(network: "ModelProto", pictures: NDArray[np.float32]) -> Iterator[tuple[str, "ModelProto"]]:
    """The network in int8: pairs of a description and the graph, from the fastest to the least rounded one.

    Parameters
    ----------
    network
        (n, 3, S, S) -> logits, features.
    pictures
        (N, 3, S, S) in [-1, 1], to measure scales on.
    """
    simplified = _simplify(network)
    layers = _quantizable_layers(simplified)
    yield "int8 (static)", _quantize_static(simplified, pictures, layers)
    subset = pictures[:: math.ceil(len(pictures) / SENSITIVITY_PICTURES)]
    ranked = _most_sensitive_first(simplified, subset, layers)
    for count in sorted({math.ceil(share * len(layers)) for share in WEIGHT_ONLY_SHARES} - {len(layers)}):
        description = f"int8 (static, {count} of {len(layers)} layers weights only)"
        yield description, _quantize_weights(_quantize_static(simplified, pictures, ranked[count:]))
    yield "int8 (weights only)", _quantize_weights(network)


def _simplify(network: "ModelProto") -> "ModelProto":
    """The network in the form that the quantiser needs: shapes inferred, layers fused and named."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="diptych-") as folder, _silent():
        source, target = (str(Path(folder) / name) for name in ("source.onnx", "target.onnx"))
        onnx.save(network, source)
        quant_pre_process(source, target, skip_symbolic_shape=True)
        simplified = onnx.load(target)
    for i, node in enumerate(simplified.graph.node):
        node.name = f"{i}_{node.op_type}"  # fusing leaves layers without a name, or with the same one
    return simplified


def _quantizable_layers(model: "ModelProto") -> list[str]:
    """The names of the nodes with weights, in the network's order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type in LAYERS and node.input[1] in weights]


def _most_sensitive_first(model: "ModelProto", pictures: NDArray[np.float32], layers: Sequence[str]) -> list[str]:
    """The layers, by how much the logits of these pictures change if that layer alone is quantised; most first."""

    def logits(graph: "ModelProto") -> NDArray[np.float32]:
        inputs = {graph.graph.input[0].name: pictures}
        outputs: NDArray[np.float32] = inference_session(graph.SerializeToString()).run(["logits"], inputs)[0]
        return outputs

    exact = logits(model)
    errors = {
        name: float(np.square(logits(_quantize_static(model, pictures, [name])) - exact).sum()) for name in layers
    }
    return sorted(layers, key=lambda name: -errors[name])


def _quantize_static(model: "ModelProto", pictures: NDArray[np.float32], layers: Sequence[str]) -> "ModelProto":
    """The network with weights and activations of these layers in int8."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="diptych-") as folder, _silent():
        source, target = (str(Path(folder) / name) for name in ("source.onnx", "target.onnx"))
        onnx.save(model, source)
        reader = _CalibrationReader(model.graph.input[0].name, pictures)
        quantize_static(
            source, target, reader, quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=[*LAYERS],
            nodes_to_exclude=sorted(set(_quantizable_layers(model)) - set(layers)),
            # Outputs of dense layers stay exact: so do the logits, and no kernel is faster for rounding them.
            extra_options={"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": [*DENSE]},
        )  # fmt: skip
        return onnx.load(target)


def _quantize_weights(network: "ModelProto") -> "ModelProto":
    """The network with weights in int8, one scale per channel, dequantised to float32 where they are used."""
    from onnx import ModelProto, helper, numpy_helper

    model = ModelProto()
    model.CopyFrom(network)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    dequantizers = []
    for node in model.graph.node:
        weight = tensors.get(node.input[1]) if node.op_type in LAYERS else None
        if weight is None or (node.op_type in DENSE and len(weight.dims) != 2):
            continue
        name, axis = weight.name, _channel_axis(node)
        if f"{name}.int8" not in tensors:  # an earlier layer may share this weight
            parts = _to_int8(numpy_helper.to_array(weight), axis)
            keys = [f"{name}.int8", f"{name}.scale", f"{name}.zero"]
            tensors |= {key: numpy_helper.from_array(np.asarray(p), key) for key, p in zip(keys, parts, strict=True)}
            dequantizers.append(helper.make_node("DequantizeLinear", keys, [f"{name}.float32"], axis=axis))
        node.input[1] = f"{name}.float32"
    nodes = [*dequantizers, *model.graph.node]
    used = {name for node in nodes for name in node.input}
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensor for name, tensor in tensors.items() if name in used)
    return model


def _channel_axis(node: "NodeProto") -> int:
    """The axis of a weight's output channels."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


def _to_int8(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int8]]:
    """The weight in -127..127, and the scale and the zero point of each channel."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = np.maximum(np.abs(weight).max(others), 1e-12).astype(np.float32) / 127
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    return np.rint(weight / scale.reshape(shape)).astype(np.int8), scale, np.zeros(len(scale), np.int8)


class _CalibrationReader:
    """The data reader of onnxruntime's calibration: one batch after the other, then None."""

    def __init__(self, name: str, pictures: NDArray[np.float32]) -> None:
        self._name = name
        self._batches = iter(np.array_split(pictures, max(1, len(pictures) // 8)))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch by the input's name."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


@contextmanager
def _silent() -> Iterator[None]:
    """Silence the quantiser, which logs to the root and gives advice that users cannot follow."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
