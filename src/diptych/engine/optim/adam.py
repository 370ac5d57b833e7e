"""AdamW, on torch's fused kernel."""

from collections.abc import Iterable

import torch
from torch import Tensor

from diptych.engine.optim.base import FusedOptimizer, ParameterGroup, decay_groups


class AdamW(FusedOptimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

    def __init__(
        self,
        groups: Iterable[ParameterGroup],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, weight_decay=weight_decay, eps=eps)

    def _update(self, parameters: list[Tensor], grads: list[Tensor], group: ParameterGroup) -> None:
        for p in parameters:
            if "steps" not in self._state[p]:
                self._state[p]["steps"] = torch.zeros((), device=p.device)
        steps = self._buffers(parameters, "steps")
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters,
            grads,
            self._buffers(parameters, "mean"),
            self._buffers(parameters, "square"),
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


def adamw(
    parameters: Iterable[Tensor], lr: float, decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
) -> AdamW:
    """AdamW with weight decay on matrices and filters only (not on biases and norms)."""
    return AdamW(decay_groups(parameters, decay), lr=lr, betas=betas)
