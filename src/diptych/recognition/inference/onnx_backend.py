"""Networks as ONNX graphs, which onnxruntime runs on a processor faster than torch does."""

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


OPSET = 19  # Resize takes uint8 and widens its filter from 18 on
IR = 10
NEEDED = ("onnx", "onnxruntime", "onnxscript")


class GraphModule(nn.Module):
    """Pictures -> logits and features, with test-time augmentation of uncertain pictures."""

    def __init__(self, network: Network, tta: TTA | None) -> None:
        super().__init__()
        self.network, self.tta = network, tta

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K) and (N, D)."""
        both = self.network.logits_and_features
        return (both if self.tta is None else self.tta.wrap_without_branch(both))(pictures)


def available() -> bool:
    """Whether the packages that graphs need are installed."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


def network_graph(network: Network, size: int, tta: TTA | None = None) -> "ModelProto":
    """The network as a graph: "seen" (n, 3, size, size) in [-1, 1] -> "logits", "features"."""
    pictures = torch.rand(2, 3, size, size) * 2 - 1
    return to_onnx(GraphModule(network.cpu(), tta), {"seen": pictures}, ["logits", "features"])


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> "ModelProto":
    """A module as an ONNX graph, for any number of pictures (the first dimension of every input).

    Raises
    ------
    UsageError
        The converter does not know all that it does.
    """
    dynamic = tuple({0: torch.export.Dim("n", min=1)} for _ in inputs)
    try:
        with _silent(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(), tuple(inputs.values()), dynamo=True, opset_version=OPSET, dynamic_shapes=dynamic,
                input_names=list(inputs), output_names=outputs, verbose=False,
            )  # fmt: skip
    except Exception as error:  # the converter's own errors, of many kinds, and those of a person's own network
        why = str(error).strip().splitlines()[0]
        raise UsageError(f"This network cannot be turned into an ONNX graph: {why}") from error
    assert program is not None
    model = program.model_proto
    model.ir_version = IR
    del model.metadata_props[:]
    return model


@contextmanager
def _silent() -> Iterator[None]:
    """The converter talks to the terminal, and warns of what a person cannot change."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
