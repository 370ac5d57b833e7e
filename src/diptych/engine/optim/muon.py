"""Muon: momentum orthogonalised by Newton–Schulz iterations, for filter banks and matrices."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from diptych.engine.machine import computes_bf16
from diptych.engine.optim.base import FusedOptimizer, ParameterGroup

# Quintic Newton–Schulz coefficients (Jordan 2024, "Muon"): a steep slope at 0 brings small singular values up
# fast; the iteration ends with singular values near 1, not at 1, which does the optimiser no harm.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(FusedOptimizer):
    """Orthogonalised momentum: each update of a matrix or filter bank has singular values of about 1.

    Filters (out, in, h, w) are treated as matrices (out, in·h·w). Banks of one shape are orthogonalised in one batched
    call. With ``unit_norm`` each bank is rescaled to norm √out, which fixes the ratio of step to weight (as in the
    CIFAR-10 speed records); leave it off where the scale of the weights carries meaning.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.6, unit_norm: bool = False) -> None:
        super().__init__([{"params": parameters}], lr=lr, momentum=momentum, unit_norm=unit_norm)

    def _update(self, parameters: list[Tensor], grads: list[Tensor], group: ParameterGroup) -> None:
        momentum = group["momentum"]
        buffers = self._buffers(parameters, "momentum")
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, grads)
        nesterov = torch._foreach_add(grads, buffers, alpha=momentum)
        banks: dict[tuple[int, int], list[int]] = defaultdict(list)  # indices of parameters of one shape
        for i, p in enumerate(parameters):
            banks[p.size(0), p[0].numel()].append(i)
        if group["unit_norm"]:
            norms = torch._foreach_norm(parameters)
            torch._foreach_add_(norms, 1e-7)
            torch._foreach_div_(norms, [p.size(0) ** 0.5 for p in parameters])
            torch._foreach_div_(parameters, norms)
        updates = list(parameters)
        for bank in banks.values():
            for i, matrix in zip(bank, newton_schulz(torch.stack([_matrix(nesterov[i]) for i in bank])), strict=True):
                updates[i] = _filters(matrix, parameters[i].shape)
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])


def _matrix(filters: Tensor) -> Tensor:
    """(out, in, h, w) as (out, h·w·in): no copy in the channels-last format; the order of columns does not matter."""
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
        (N, rows, columns), any floating type; computed in bfloat16 where the device has instructions for it.
    steps
        Newton–Schulz iterations.

    Returns
    -------
    Tensor
        (N, rows, columns) in the type of the input: about U·Vᵀ of each matrix's singular value decomposition.
    """
    x = matrices.bfloat16() if computes_bf16(matrices.device) else matrices.float()
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        # A x + (B gram + C gram²) x, in as few kernels as possible: on a GPU their number sets the cost of a step.
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    orthogonalized: Tensor = x.mT if tall else x
    return orthogonalized.to(matrices.dtype)


def filters(module: nn.Module) -> list[nn.Parameter]:
    """The trainable filter banks (out, in, h, w) of a module: the parameters that Muon is for."""
    return [p for p in module.parameters() if p.requires_grad and p.ndim == 4]
