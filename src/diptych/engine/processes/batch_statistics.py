"""Statistics of a batch that is shared by several processes, with gradients: means, and batch norm."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from diptych.engine.distributed import all_reduce

Group = dist.ProcessGroup
Pair = tuple[Tensor | None, Tensor | None]


class GroupMean(torch.autograd.Function):
    """The mean of a tensor over processes; so is its gradient, and that one's."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Group) -> Tensor:
        """One all-reduce."""
        ctx.group = group
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        all_reduce(total, group)
        return total / dist.get_world_size(group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The processes' losses are averaged: each one's share has a part in all of them."""
        return GroupMean.mean(gradients[0], ctx.group), None

    @classmethod
    def mean(cls, tensor: Tensor, group: Group) -> Tensor:
        """The mean over the processes of the group."""
        mean: Tensor = cls.apply(tensor, group)
        return mean


class _Normalise(torch.autograd.Function):
    """Batch norm by the mean and variance of all processes' pictures (Ioffe & Szegedy 2015, algorithm 1).

    torch's SyncBatchNorm does this on GPUs alone. Each process has as many pictures as any other.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, running: Pair, *rest: Any
    ) -> Tensor:
        momentum, eps, group = rest
        world_size, count = dist.get_world_size(group), inputs.numel() // inputs.shape[1]
        mean, variance = torch.ops.aten.batch_norm_update_stats(inputs, None, None, 0.0)
        # Of each process both, as rows of one tensor, so that one all-reduce does: E[x²] - E[x]² would lose digits.
        rows = mean.new_zeros(world_size, 2, len(mean), dtype=torch.float32)
        rows[dist.get_rank(group)] = torch.stack([mean, variance]).float()
        all_reduce(rows, group)
        means, variances = rows.unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        for statistic, now in zip(
            running, (mean, variance * (count * world_size / (count * world_size - 1))), strict=True
        ):
            if statistic is not None:
                statistic.lerp_(now.to(statistic.dtype), momentum)
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(inputs, weight, mean, inverse)
        ctx.count, ctx.group, ctx.eps = count * world_size, group, eps
        return torch.nn.functional.batch_norm(inputs, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, mean, inverse = ctx.saved_tensors
        _, product, total = torch.ops.aten.native_batch_norm_backward(
            gradient, inputs, weight, None, None, mean, inverse, True, ctx.eps, [False, True, True]
        )
        sums = torch.stack([total, product]).float()
        all_reduce(sums, ctx.group)
        all_total, all_product = sums / ctx.count
        scale = inverse if weight is None else inverse * weight.float()
        slope = -scale * inverse * all_product
        offset = -scale * all_total - slope * mean
        shape = (1, -1, *(1 for _ in inputs.shape[2:]))
        scale, slope, offset = (t.to(inputs.dtype).view(shape) for t in (scale, slope, offset))
        result = torch.addcmul(offset, inputs, slope).addcmul_(gradient, scale)
        needs = ctx.needs_input_grad
        return result, product if needs[1] else None, total if needs[2] else None, None, None, None, None


def batch_norm(inputs: Tensor, running: Pair, affine: Pair, momentum: float, eps: float, group: Group) -> Tensor:
    """Batch norm in training over the pictures of all processes.

    Parameters
    ----------
    inputs
        (B, C, …), as many pictures on each process.
    running
        The running mean and variance (C,), which are updated; or ``None``.
    affine
        Weight and bias (C,), or ``None``.
    """
    normalised: Tensor = _Normalise.apply(inputs, *affine, running, momentum, eps, group)
    return normalised
