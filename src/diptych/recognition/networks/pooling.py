"""2×2 max pooling, with gradients that a processor computes in less time than torch's own."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class MaxPool(nn.Module):
    """The largest of each 2×2 window: (B, C, H, W) -> (B, C, ⌊H/2⌋, ⌊W/2⌋).

    The same numbers as ``nn.MaxPool2d(2)``, and the same gradients but for ties, where another one of the largest may
    take the gradient.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Pool; in training on a processor by :class:`_Halving`, which reads channels that lie side by side."""
        if self.training and images.device.type == "cpu" and images.is_contiguous(memory_format=torch.channels_last):
            pooled: Tensor = _Halving.apply(images)
            return pooled
        return F.max_pool2d(images, 2)


class _Halving(torch.autograd.Function):
    """Rows against rows, then columns against columns: two comparisons of long runs of numbers.

    torch's kernel keeps the place of each maximum as an int64, four times the bytes of a bf16 activation, and clears
    the whole gradient before it scatters into it. Here each comparison keeps 0 or 1 in the activations' own type, by
    which the gradient is multiplied; what does not go to the one goes to the other.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        whole = images[..., : images.shape[2] // 2 * 2, : images.shape[3] // 2 * 2]
        upper, lower = whole[:, :, 0::2], whole[:, :, 1::2]
        rows = torch.maximum(upper, lower)
        left, right = rows[..., 0::2], rows[..., 1::2]
        pooled = torch.maximum(left, right)
        is_upper, is_left = torch.empty_like(rows), torch.empty_like(pooled)
        torch.ge(upper, lower, out=is_upper)
        torch.ge(left, right, out=is_left)
        ctx.save_for_backward(is_upper, is_left)
        ctx.shape = images.shape
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        is_upper, is_left = ctx.saved_tensors
        of_rows, images = torch.empty_like(is_upper), _room(ctx.shape, grad)
        _part(grad, is_left, of_rows[..., 0::2], of_rows[..., 1::2])
        whole = images[..., : 2 * is_upper.shape[2], : is_upper.shape[3]]
        _part(of_rows, is_upper, whole[:, :, 0::2], whole[:, :, 1::2])
        return images


def _part(grad: Tensor, is_first: Tensor, first: Tensor, second: Tensor) -> None:
    torch.mul(grad, is_first, out=first)
    torch.sub(grad, first, out=second)


def _room(shape: torch.Size, grad: Tensor) -> Tensor:
    """An empty gradient, but 0 where an odd row or column is left out of every window."""
    room = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last)
    if shape[2] % 2:
        room[:, :, -1] = 0
    if shape[3] % 2:
        room[..., -1] = 0
    return room
