"""What every optimiser has: parameter groups, state by parameter, and the step over them."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

ParameterGroup = dict[str, Any]  # "params", "lr" and the method's other settings


class Optimizer(Protocol):
    """What the engine needs of an optimiser; those of ``torch.optim`` fit it, too."""

    param_groups: list[ParameterGroup]

    def step(self) -> Any:
        """Take one step along the parameters' gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that a later step depends on, besides the parameters."""

    def load_state_dict(self, state_dict: Any) -> None:
        """Restore what :meth:`state_dict` returned."""


class FusedOptimizer(ABC):
    """Parameter groups with settings, and state tensors by parameter."""

    def __init__(self, groups: Iterable[ParameterGroup], **settings: Any) -> None:
        self.param_groups: list[ParameterGroup] = [{**settings, **g, "params": list(g["params"])} for g in groups]
        self._state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        self._formats_match = False

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the parameters' gradients; parameters without one stay."""
        if not self._formats_match:
            self._match_memory_formats()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(parameters, [p.grad for p in parameters], group)

    def state_dict(self) -> dict[str, Any]:
        """Settings of the groups, and the state of each parameter in them."""
        return {
            "groups": [{name: value for name, value in g.items() if name != "params"} for g in self.param_groups],
            "state": [[dict(self._state.get(p, {})) for p in g["params"]] for g in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; tensors move to their parameter's device."""
        for group, settings, states in zip(self.param_groups, state_dict["groups"], state_dict["state"], strict=True):
            group.update(settings)
            for p, state in zip(group["params"], states, strict=True):
                self._state[p] = {name: tensor.to(p.device) for name, tensor in state.items()}
        self._formats_match = False

    def _match_memory_formats(self) -> None:
        """Bring restored state into the parameters' memory format: fused kernels read memory in order, not by index."""
        for p, state in self._state.items():
            for name, tensor in state.items():
                if tensor.shape == p.shape and tensor.stride() != p.stride():
                    state[name] = torch.empty_like(p).copy_(tensor)
        self._formats_match = True

    def _buffers(self, parameters: Sequence[Tensor], name: str) -> list[Tensor]:
        """The state tensor of that name of each parameter; zeros at first."""
        for p in parameters:
            if name not in self._state[p]:
                self._state[p][name] = torch.zeros_like(p)
        return [self._state[p][name] for p in parameters]

    @abstractmethod
    def _update(self, parameters: list[Tensor], grads: list[Tensor], group: ParameterGroup) -> None:
        """Move a group's parameters along their gradients, in place."""


def decay_groups(parameters: Iterable[Tensor], decay: float) -> list[ParameterGroup]:
    """Trainable parameters in two groups: matrices and filters with weight decay, biases and norms without."""
    trainable = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
