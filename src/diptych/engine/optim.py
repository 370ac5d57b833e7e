"""Optimisers: Muon for filter banks and matrices, beside torch's own SGD and AdamW."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

# Quintic Newton–Schulz coefficients (Jordan 2024, "Muon"): a steep slope at 0 brings small singular values up
# fast; the iteration ends with singular values near 1, not at 1, which does the optimiser no harm.
_A, _B, _C = 3.4445, -4.7750, 2.0315


@torch.no_grad()
def orthogonalise(matrices: Tensor, steps: int = 3) -> Tensor:
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
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    found: Tensor = x.mT if tall else x
    return found.to(matrices.dtype)


class Muon(Optimizer):
    """Momentum, orthogonalised: each filter bank moves by a matrix whose singular values are all about 1.

    Filters (out, in, h, w) are taken as matrices (out, in·h·w). Banks of one shape are worked on in one batched
    call. With ``unit_norm`` each bank is kept at norm √out, which fixes the ratio of step to weight (as in the
    CIFAR-10 speed records); leave it off where the scale of the weights carries meaning.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.6, unit_norm: bool = False) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "unit_norm": unit_norm})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step along the gradients at hand."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.size(0), p[0].numel()].append(p)
            for bank in alike.values():
                self._move(bank, group)

    def _move(self, bank: list[Tensor], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        grads = [p.grad for p in bank if p.grad is not None]
        for p, g in zip(bank, grads, strict=True):
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(g)
        buffers = [self.state[p]["momentum"] for p in bank]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, grads)
        nesterov = [g + momentum * m for g, m in zip(grads, buffers, strict=True)]
        moves = orthogonalise(torch.stack([n.reshape(n.size(0), -1) for n in nesterov]))
        for p, move in zip(bank, moves, strict=True):
            if group["unit_norm"]:
                p.mul_(p.size(0) ** 0.5 / (p.norm() + 1e-7))
            p.add_(move.reshape(p.shape), alpha=-group["lr"])


def adamw(
    parameters: Iterable[Tensor], lr: float, decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
) -> AdamW:
    """AdamW with weight decay on matrices and filters only (not on biases and norms)."""
    return AdamW(_decayed(parameters, decay), lr=lr, betas=betas, fused=True)


def sgd(parameters: Iterable[Tensor], lr: float, decay: float = 0.0, momentum: float = 0.9) -> SGD:
    """Nesterov SGD with weight decay on matrices and filters only (not on biases and norms)."""
    return SGD(_decayed(parameters, decay), lr=lr, momentum=momentum, nesterov=True, fused=True)


def _decayed(parameters: Iterable[Tensor], decay: float) -> list[dict[str, Any]]:
    every = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def filters(module: nn.Module) -> list[nn.Parameter]:
    """The trainable filter banks (out, in, h, w) of a module: what Muon is meant for."""
    return [p for p in module.parameters() if p.requires_grad and p.ndim == 4]
