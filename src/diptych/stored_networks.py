"""A saved network, checked before it is used: its parameters, its size while it is built, and each of its tensors.

``model.json`` says how a network is built and the weights what it consists of, and either may be damaged. While a
network is built, it may not have many more numbers than there are weights for it, so that a width of a billion or a
thousand levels end with a sentence and not with the machine's memory.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diptych import artefact, json_reader
from diptych.artefact import Artefact
from diptych.errors import ArtefactError, UsageError
from diptych.settings import Settings

Model = TypeVar("Model", bound=Settings)
Facts = TypeVar("Facts")
SPARE = 4_000_000  # numbers that a network may have besides its weights, such as fixed tables
_FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye)


def convert_facts(saved: Artefact, kind: type[Facts]) -> Facts:
    """What ``model.json`` says, as a kind of model declares it.

    Raises
    ------
    ArtefactError
        It says something else; the message has the place.
    """
    try:
        return json_reader.convert(saved.facts, kind)
    except json_reader.JSONError as error:
        raise damaged(saved, error.reason) from None


def with_parameters(model: type[Model], saved: Artefact, **others: Any) -> Model:
    """A model of this class, not fitted yet, with the parameters in an artefact, and these ``others``.

    Raises
    ------
    ArtefactError
        A parameter is none of the class, or out of range.
    """
    parameters = {**saved.facts.get("parameters", {}), **others}
    unknown = sorted(parameters.keys() - model.__dataclass_fields__.keys())
    if unknown:
        raise damaged(saved, f"$.parameters.{unknown[0]} is no setting of a {saved.facts['kind']}")
    try:
        return model(**parameters)
    except UsageError as error:
        raise damaged(saved, f"$.parameters: {str(error).split('. ')[0]}") from None


def damaged(saved: Artefact, reason: str) -> ArtefactError:
    """The error of a ``model.json`` that does not fit the rest of the model."""
    return artefact.damaged(saved.folder / "model.json", reason)


@contextmanager
def built_from(saved: Artefact) -> Iterator[None]:
    """Within the block a network is built whose weights are those of an artefact.

    Raises
    ------
    ArtefactError
        It cannot be built, or it would have many more numbers than there are weights.
    """
    bound = _Bounded(2 * sum(tensor.numel() for tensor in saved.weights.values()) + SPARE)
    try:
        with bound:
            yield
    except Exception as error:  # whatever the code of a network raises, timm's and a person's own included
        first = (str(error).splitlines() or [type(error).__name__])[0]
        reason = f"no network can be built from what it says ({first.rstrip('.')})"
        if bound.left < 0:
            reason = "the network that it describes is far larger than the one that the weights are of"
        raise damaged(saved, reason) from error


class _Bounded(TorchFunctionMode):
    """Counts the numbers of all tensors that are made, and stops where there would be more than ``left``."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function in _FACTORIES:
            shape = args[0] if args and isinstance(args[0], Sequence) else args
            self.left -= math.prod(side for side in shape if isinstance(side, int))
            if self.left < 0:
                raise MemoryError
        return function(*args, **(kwargs or {}))


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], saved: Artefact, prefix: str = "") -> None:
    """Load the weights of an artefact, or those of one of its networks, into the network.

    Raises
    ------
    ArtefactError
        One is missing or too many, or has another shape or type, or a value that is no number; it is named.
    """
    check_tensors(network.state_dict(), weights, saved, prefix)
    try:
        result = network.load_state_dict({n: t.contiguous() for n, t in weights.items()}, strict=False)
    except Exception as error:  # of shapes that do not fit each other
        raise damaged_weights(saved, str(error).splitlines()[-1].strip()) from error
    for name in result.missing_keys:
        raise damaged_weights(saved, f"the tensor {prefix}{name} is missing")
    for name in result.unexpected_keys:
        raise damaged_weights(saved, f"the tensor {prefix}{name} belongs to no network of the model")


def check_tensors(
    expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], saved: Artefact, prefix: str = ""
) -> None:
    """Check that tensors have the shapes and types of those of the same name, and values that are numbers.

    Raises
    ------
    ArtefactError
        Names the first that has not.
    """
    for name, tensor in tensors.items():
        if reason := _difference(tensor, expected.get(name, tensor)):
            raise damaged_weights(saved, f"the tensor {prefix}{name} {reason}")


def damaged_weights(saved: Artefact, reason: str) -> ArtefactError:
    """The error of weights that are not those of the model that ``model.json`` describes."""
    return artefact.damaged(saved.folder / "weights.safetensors", reason)


def _difference(tensor: Tensor, expected: Tensor) -> str:
    """How a stored tensor differs from the one of its name in a new network; empty: in its values alone."""
    if tensor.shape != expected.shape:
        return f"has the shape {tuple(tensor.shape)}, not {tuple(expected.shape)}"
    if tensor.dtype != expected.dtype:
        return f"is of {str(tensor.dtype).removeprefix('torch.')}, not {str(expected.dtype).removeprefix('torch.')}"
    unset = expected is not tensor and not bool(expected.isfinite().all())  # filled in after the training
    if not unset and not bool(tensor.isfinite().all()):
        return "has values that are no numbers (NaN or infinity)"
    return ""
