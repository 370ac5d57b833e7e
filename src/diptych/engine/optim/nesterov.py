"""Nesterov SGD, on torch's fused kernel."""

from collections.abc import Iterable

import torch
from torch import Tensor

from diptych.engine.optim.base import FusedOptimizer, ParameterGroup, decay_groups


class SGD(FusedOptimizer):
    """Stochastic gradient descent with Nesterov momentum; the decay is added to the gradient."""

    def __init__(
        self, groups: Iterable[ParameterGroup], lr: float, momentum: float = 0.9, weight_decay: float = 0.0
    ) -> None:
        super().__init__(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def _update(self, parameters: list[Tensor], grads: list[Tensor], group: ParameterGroup) -> None:
        torch._fused_sgd_(
            parameters,
            grads,
            self._buffers(parameters, "momentum"),
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=True,
            maximize=False,
            is_first_step=False,
        )


def sgd(parameters: Iterable[Tensor], lr: float, decay: float = 0.0, momentum: float = 0.9) -> SGD:
    """Nesterov SGD with weight decay on matrices and filters only (not on biases and norms)."""
    return SGD(decay_groups(parameters, decay), lr=lr, momentum=momentum)
