"""The network in 8-bit integers: a quarter of the file, and faster where the processor multiplies them.

Weights always get one scale a channel. What flows between layers is rounded by scales measured on pictures (static),
which suits convolutions, or by each batch's own (dynamic), which suits transformers; see "Quantize ONNX models" in
onnxruntime's documentation. Which keeps the labels is found by trying.
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
    from onnx import ModelProto

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
