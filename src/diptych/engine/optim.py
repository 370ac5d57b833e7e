"""Optimisers: AdamW, Nesterov SGD, and Muon for filter banks and matrices, on torch's fused kernels.

Not torch's own classes: making the first of those imports torch's compiler, over a second of every short run, and
they take half a millisecond of Python a step.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Group = dict[str, Any]  # "params", "lr" and what else a method takes

# Quintic Newton–Schulz coefficients (Jordan 2024, "Muon"): a steep slope at 0 brings small singular values up
# fast; the iteration ends with singular values near 1, not at 1, which does the optimiser no harm.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Optimizer(Protocol):
    """What the engine asks of an optimiser; those of ``torch.optim`` answer it, too."""

    param_groups: list[Group]

    def step(self) -> Any:
        """Take one step along the gradients at hand."""

    def state_dict(self) -> dict[str, Any]:
        """All that a later step depends on, besides the parameters."""

    def load_state_dict(self, state_dict: Any) -> None:
        """Take what :meth:`state_dict` gave."""


class _Stepping(ABC):
    """Groups of parameters with settings, and tensors of state by parameter."""

    def __init__(self, groups: Iterable[Group], **settings: Any) -> None:
        self.param_groups: list[Group] = [{**settings, **g, "params": list(g["params"])} for g in groups]
        self._state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        self._laid_out = False

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the gradients at hand."""
        if not self._laid_out:
            self._lay_out()
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            if moving:
                self._move(moving, [p.grad for p in moving], group)

    def state_dict(self) -> dict[str, Any]:
        """Settings of the groups, and the state of each parameter in them."""
        return {
            "groups": [{name: told for name, told in g.items() if name != "params"} for g in self.param_groups],
            "state": [[dict(self._state.get(p, {})) for p in g["params"]] for g in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take what :meth:`state_dict` gave; tensors move to their parameter's device."""
        for group, settings, states in zip(self.param_groups, state_dict["groups"], state_dict["state"], strict=True):
            group.update(settings)
            for p, state in zip(group["params"], states, strict=True):
                self._state[p] = {name: tensor.to(p.device) for name, tensor in state.items()}
        self._laid_out = False

    def _lay_out(self) -> None:
        """Bring restored state into the parameters' memory format: fused kernels go by place, not by index."""
        for p, state in self._state.items():
            for name, tensor in state.items():
                if tensor.shape == p.shape and tensor.stride() != p.stride():
                    state[name] = torch.empty_like(p).copy_(tensor)
        self._laid_out = True

    def _held(self, parameters: Sequence[Tensor], name: str) -> list[Tensor]:
        """The state of that name of each parameter; zeros at first."""
        for p in parameters:
            if name not in self._state[p]:
                self._state[p][name] = torch.zeros_like(p)
        return [self._state[p][name] for p in parameters]

    @abstractmethod
    def _move(self, parameters: list[Tensor], grads: list[Tensor], group: Group) -> None:
        """Move a group's parameters along their gradients."""


class AdamW(_Stepping):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

    def __init__(
        self,
        groups: Iterable[Group],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, weight_decay=weight_decay, eps=eps)

    def _move(self, parameters: list[Tensor], grads: list[Tensor], group: Group) -> None:
        for p in parameters:
            if "steps" not in self._state[p]:
                self._state[p]["steps"] = torch.zeros((), device=p.device)
        steps = self._held(parameters, "steps")
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters,
            grads,
            self._held(parameters, "mean"),
            self._held(parameters, "square"),
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


class SGD(_Stepping):
    """Stochastic gradient descent with Nesterov momentum; the decay is added to the gradient."""

    def __init__(self, groups: Iterable[Group], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def _move(self, parameters: list[Tensor], grads: list[Tensor], group: Group) -> None:
        torch._fused_sgd_(
            parameters,
            grads,
            self._held(parameters, "momentum"),
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=True,
            maximize=False,
            is_first_step=False,
        )


class Muon(_Stepping):
    """Momentum, orthogonalised: each matrix or filter bank moves by one whose singular values are all about 1.

    Filters (out, in, h, w) are taken as matrices (out, in·h·w). Banks of one shape are worked on in one batched
    call. With ``unit_norm`` each bank is kept at norm √out, which fixes the ratio of step to weight (as in the
    CIFAR-10 speed records); leave it off where the scale of the weights carries meaning.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.6, unit_norm: bool = False) -> None:
        super().__init__([{"params": parameters}], lr=lr, momentum=momentum, unit_norm=unit_norm)

    def _move(self, parameters: list[Tensor], grads: list[Tensor], group: Group) -> None:
        momentum = group["momentum"]
        buffers = self._held(parameters, "momentum")
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, grads)
        nesterov = torch._foreach_add(grads, buffers, alpha=momentum)
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, p in enumerate(parameters):
            alike[p.size(0), p[0].numel()].append(i)
        if group["unit_norm"]:
            norms = torch._foreach_norm(parameters)
            torch._foreach_add_(norms, 1e-7)
            torch._foreach_div_(norms, [p.size(0) ** 0.5 for p in parameters])
            torch._foreach_div_(parameters, norms)
        moves = list(parameters)
        for bank in alike.values():
            for i, matrix in zip(bank, newton_schulz(torch.stack([_matrix(nesterov[i]) for i in bank])), strict=True):
                moves[i] = _filters(matrix, parameters[i].shape)
        torch._foreach_add_(parameters, moves, alpha=-group["lr"])


def _matrix(filters: Tensor) -> Tensor:
    """(out, in, h, w) as (out, h·w·in): in the channels-last format no copy, and the order of columns is no matter."""
    return filters.movedim(1, -1).flatten(1)


def _filters(matrix: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of :func:`_matrix`."""
    out, inputs, *window = shape
    return matrix.reshape(out, *window, inputs).movedim(-1, 1)


@torch.no_grad()
def newton_schulz(matrices: Tensor, steps: int = 3) -> Tensor:
    """Bring the singular values of each matrix near 1.

    Parameters
    ----------
    matrices
        (N, rows, columns), any floating type; worked on in bfloat16.
    steps
        Newton–Schulz iterations.

    Returns
    -------
    Tensor
        (N, rows, columns) in the type of the input: about U·Vᵀ of each matrix's singular value decomposition.
    """
    x = matrices.bfloat16()
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        # A x + (B gram + C gram²) x, in as few kernels as may be: on a GPU their number is what a step costs.
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    found: Tensor = x.mT if tall else x
    return found.to(matrices.dtype)


def adamw(
    parameters: Iterable[Tensor], lr: float, decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
) -> AdamW:
    """AdamW with weight decay on matrices and filters only (not on biases and norms)."""
    return AdamW(_decayed(parameters, decay), lr=lr, betas=betas)


def sgd(parameters: Iterable[Tensor], lr: float, decay: float = 0.0, momentum: float = 0.9) -> SGD:
    """Nesterov SGD with weight decay on matrices and filters only (not on biases and norms)."""
    return SGD(_decayed(parameters, decay), lr=lr, momentum=momentum)


def _decayed(parameters: Iterable[Tensor], decay: float) -> list[Group]:
    every = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def filters(module: nn.Module) -> list[nn.Parameter]:
    """The trainable filter banks (out, in, h, w) of a module: what Muon is meant for."""
    return [p for p in module.parameters() if p.requires_grad and p.ndim == 4]
