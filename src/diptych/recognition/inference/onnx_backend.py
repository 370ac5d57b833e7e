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

if TYPE_CHECKING:
    from onnx import ModelProto

    from diptych.recognition.networks.tta import Views

OPSET = 19  # Resize takes uint8 and widens its filter from 18 on
IR = 10
NEEDED = ("onnx", "onnxruntime", "onnxscript")


class Seen(nn.Module):
    """Pictures -> logits and features, with ``views`` of doubtful pictures from all sides."""

    def __init__(self, network: Network, views: "Views | None") -> None:
        super().__init__()
        self.network, self.views = network, views

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K) and (N, D)."""
        both = self.network.both
        return (both if self.views is None else self.views.over_all(both))(pictures)


def available() -> bool:
    """Whether the packages that graphs need are installed."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


def seen(network: Network, size: int, views: "Views | None" = None) -> "ModelProto":
    """The network as a graph: "seen" (n, 3, size, size) in [-1, 1] -> "logits", "features"."""
    pictures = torch.rand(2, 3, size, size) * 2 - 1
    return converted(Seen(network.cpu(), views), {"seen": pictures}, ["logits", "features"])


def converted(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> "ModelProto":
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
