"""The network in 8-bit integers: a quarter of the file, and faster where the processor multiplies them.

Weights always get one scale a channel. What flows between layers is rounded by scales measured on pictures (static),
which suits convolutions, or by each batch's own (dynamic), which suits transformers; see "Quantize ONNX models" in
onnxruntime's documentation. Or only the weights are rounded: as small a file, no faster, and nearest to the model, as
networks need whose answers hang on small differences. Which keeps the labels is found by trying.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CALIBRATED_ON = 128  # pictures
DENSE = ("MatMul", "Gemm")


def ways(network: "ModelProto", prepared: NDArray[np.float32]) -> Iterator[tuple[str, "ModelProto"]]:
    """The network in int8, in the ways that may keep its answers, the likeliest first, each with its name.

    Parameters
    ----------
    network
        "seen" (n, 3, S, S) -> logits, features.
    prepared
        Pictures in [-1, 1] to measure scales on.
    """
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in network.graph.initializer}
    weights = {"Conv": 0, "dense": 0}
    for node in network.graph.node:
        kind = "dense" if node.op_type in DENSE else node.op_type
        if kind in weights:
            weights[kind] += sum(sizes.get(name, 0) for name in node.input)
    several = ["static", "static, convolutions only", "dynamic"]
    for way in several if weights["Conv"] >= weights["dense"] else ["dynamic", "static"]:
        yield f"int8 ({way})", _made(network, prepared, way)
    yield "int8 (weights)", _rounded(network)


def _made(network: "ModelProto", prepared: NDArray[np.float32], way: str) -> "ModelProto":
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="diptych-") as folder, _silent():
        plain, ready, made = (str(Path(folder) / f"{name}.onnx") for name in ("plain", "ready", "made"))
        onnx.save(network, plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        if way == "dynamic":
            quantize_dynamic(ready, made, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=[*DENSE])
        else:
            quantize_static(
                ready, made, _Pictures(prepared), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv"] if "only" in way else ["Conv", *DENSE],
                extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
        return onnx.load(made)


def _rounded(network: "ModelProto") -> "ModelProto":
    """The same with weights in int8, one scale a channel, that are turned back to float32 where they are used."""
    from onnx import ModelProto, helper, numpy_helper

    made = ModelProto()
    made.CopyFrom(network)
    held = {tensor.name: tensor for tensor in made.graph.initializer}
    back = []
    for node in made.graph.node:
        weight = held.get(node.input[1]) if node.op_type in ("Conv", *DENSE) else None
        if weight is None or (node.op_type in DENSE and len(weight.dims) != 2):
            continue
        name, axis = weight.name, _channels(node)
        if f"{name}.rounded" not in held:  # or it is shared with a layer before
            new = _in_int8(numpy_helper.to_array(weight), axis)
            named = [f"{name}.rounded", f"{name}.scale", f"{name}.zero"]
            held |= {key: numpy_helper.from_array(np.asarray(part), key) for key, part in zip(named, new, strict=True)}
            back.append(helper.make_node("DequantizeLinear", named, [f"{name}.back"], axis=axis))
        node.input[1] = f"{name}.back"
    nodes = [*back, *made.graph.node]
    used = {name for node in nodes for name in node.input}
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(tensor for name, tensor in held.items() if name in used)
    return made


def _channels(node: "NodeProto") -> int:
    """The axis of a weight's outputs."""
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or turned else 1


def _in_int8(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int8]]:
    """The weight in -127..127, and the scale and the zero point of each channel."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = np.maximum(np.abs(weight).max(others), 1e-12).astype(np.float32) / 127
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    return np.rint(weight / scale.reshape(shape)).astype(np.int8), scale, np.zeros(len(scale), np.int8)


class _Pictures:
    """What onnxruntime's calibration reads: one batch after the other, then None."""

    def __init__(self, prepared: NDArray[np.float32]) -> None:
        self._batches = iter(np.array_split(prepared, max(1, len(prepared) // 8)))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch by the input's name."""
        batch = next(self._batches, None)
        return None if batch is None else {"seen": batch}


@contextmanager
def _silent() -> Iterator[None]:
    """The quantiser logs to the root, and gives advice that is not a person's to follow."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
