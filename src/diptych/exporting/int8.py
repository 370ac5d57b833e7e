"""The network in 8-bit integers: a quarter of the file, and faster where the processor multiplies them.

Weights always get one scale a channel. What flows between layers is rounded by scales measured on pictures, so that
the answer to a picture does not depend on those beside it. Where that moves labels, the layers that bear it worst have
their weights alone rounded: as small a file, no faster there, and mostly nearer to the model; in the end every layer.
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

from diptych.engine.runtime import session

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CALIBRATED_ON = 128  # pictures
LOOKED_AT = 16  # of them, to find out which layers bear rounding worst
SPARED = (0.125, 0.25, 0.5)  # parts of the layers, tried one after the other
DENSE = ("MatMul", "Gemm")
LAYERS = ("Conv", *DENSE)


def int8_candidates(network: "ModelProto", prepared: NDArray[np.float32]) -> Iterator[tuple[str, "ModelProto"]]:
    """The network in int8, the fastest way first and the one that rounds least last, each with its name.

    Parameters
    ----------
    network
        "inputs" (n, 3, S, S) -> logits, features.
    prepared
        Pictures in [-1, 1] to measure scales on.
    """
    ready = _ready(network)
    layers = _layers(ready)
    yield "int8 (static)", _static(ready, prepared, layers)
    worst = _worst_first(ready, prepared[:: math.ceil(len(prepared) / LOOKED_AT)], layers)
    for spared in sorted({math.ceil(part * len(layers)) for part in SPARED} - {len(layers)}):
        way = f"int8 (static, but {spared} of {len(layers)} layers by their weights)"
        yield way, _rounded(_static(ready, prepared, worst[spared:]))
    yield "int8 (weights)", _rounded(network)


def _ready(network: "ModelProto") -> "ModelProto":
    """The same network as the quantiser wants it: shapes inferred, layers fused and named."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="diptych-") as folder, _silent():
        plain, ready = (str(Path(folder) / f"{name}.onnx") for name in ("plain", "ready"))
        onnx.save(network, plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        made = onnx.load(ready)
    for i, node in enumerate(made.graph.node):
        node.name = f"{i}_{node.op_type}"  # fusing leaves layers of no name, or of the same
    return made


def _layers(ready: "ModelProto") -> list[str]:
    """The names of the nodes that have weights to round, in the network's order."""
    held = {tensor.name for tensor in ready.graph.initializer}
    return [node.name for node in ready.graph.node if node.op_type in LAYERS and node.input[1] in held]


def _worst_first(ready: "ModelProto", few: NDArray[np.float32], layers: Sequence[str]) -> list[str]:
    """The layers, first those that move the logits of a few pictures most when they alone are rounded."""

    def logits(graph: "ModelProto") -> NDArray[np.float32]:
        told: NDArray[np.float32] = session(graph.SerializeToString()).run(["logits"], {"inputs": few})[0]
        return told

    truth = logits(ready)
    moved = {name: float(np.square(logits(_static(ready, few, [name])) - truth).sum()) for name in layers}
    return sorted(layers, key=lambda name: -moved[name])


def _static(ready: "ModelProto", prepared: NDArray[np.float32], layers: Sequence[str]) -> "ModelProto":
    """The network with these layers in integers."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="diptych-") as folder, _silent():
        given, made = (str(Path(folder) / f"{name}.onnx") for name in ("given", "made"))
        onnx.save(ready, given)
        quantize_static(
            given, made, _Pictures(prepared), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=[*LAYERS],
            nodes_to_exclude=sorted(set(_layers(ready)) - set(layers)),
            # What a dense layer tells stays exact: the logits themselves do, and no kernel is faster for rounding it.
            extra_options={"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": [*DENSE]},
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
        weight = held.get(node.input[1]) if node.op_type in LAYERS else None
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
        return None if batch is None else {"inputs": batch}


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
