"""Networks as ONNX graphs, which onnxruntime runs faster than torch on a processor."""

import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from diptych.errors import UsageError
from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import TTA

if TYPE_CHECKING:
    from onnx import ModelProto


OPSET = 19  # from 18 on, Resize takes uint8 and can antialias
IR = 10  # version of the file format
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class GraphModule(nn.Module):
    """The network with its test-time augmentation, as a module that can be converted."""

    def __init__(self, network: Network, tta: TTA | None) -> None:
        super().__init__()
        self.network, self.tta = network, tta

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, S, S) in [-1, 1] -> logits (N, K), features (N, D)."""
        once = self.network.logits_and_features
        return (once if self.tta is None else self.tta.wrap_without_branch(once))(pictures)


def is_available() -> bool:
    """Whether the packages that conversion needs are installed."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def network_graph(network: Network, size: int, tta: TTA | None = None) -> "ModelProto":
    """The network as a graph: "inputs" (n, 3, size, size) in [-1, 1] -> "logits", "features"."""
    pictures = torch.rand(2, 3, size, size) * 2 - 1
    return to_onnx(GraphModule(network.cpu(), tta), {"inputs": pictures}, ["logits", "features"])


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> "ModelProto":
    """Convert a module to an ONNX graph for any number of pictures (the first dimension of every input).

    Raises
    ------
    UsageError
        The converter does not support an operation of the module.
    """
    dynamic = tuple({0: torch.export.Dim("n", min=1)} for _ in inputs)
    try:
        with _silent(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(), tuple(inputs.values()), dynamo=True, opset_version=OPSET, dynamic_shapes=dynamic,
                input_names=list(inputs), output_names=outputs, verbose=False,
            )  # fmt: skip
    except Exception as error:  # of many kinds, from the converter and from a person's own network
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"This network cannot be converted to an ONNX graph: {reason}") from error
    assert program is not None
    model = program.model_proto
    model.ir_version = IR
    del model.metadata_props[:]
    return model


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress the converter's output and warnings, which a person can do nothing about."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
