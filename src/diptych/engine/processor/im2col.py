"""The gradient of a convolution's weights by im2col: one matrix product instead of the library's own kernel.

Where a processor has matrix units (AMX), that kernel leaves them idle on small maps: on two cores the largest part of a
step was the gradient of 3×3 weights on maps of 8 px or fewer, and the product takes between a seventh (3 px) and four
fifths (8 px) of its time. On larger maps, in float32 and without such units there is no gain; whether there is one on
this machine is measured, see :mod:`diptych.engine.machine`.

Source of the unrolling: K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for
document processing", IWFHR 2006.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

MAX_MAP_SIDE = 8  # px: the longest side of an output


class Im2col(TorchFunctionMode):
    """Within the block, weight gradients of bfloat16 convolutions with small maps are computed by im2col.

    Other convolutions, and those with a stride, groups or a dilation, are unchanged. Gradients can still be
    differentiated once more.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Every function of torch passes through here; only eligible convolutions are replaced."""
        if func is F.conv2d and not kwargs and _is_eligible(*args):
            images, weight, bias, _, padding = args[:5]
            output = _Convolution.apply(images.bfloat16(), weight.bfloat16(), padding)
            return output if bias is None else output + bias.bfloat16().view(-1, 1, 1)
        return func(*args, **(kwargs or {}))


def _is_eligible(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    """Whether a convolution's weights need a gradient and its output map is small."""
    if not (weight.requires_grad and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")):
        return False
    if not (stride in (1, (1, 1)) and dilation in (1, (1, 1)) and groups == 1):
        return False
    if not (isinstance(padding, tuple) and images.dim() == 4):
        return False
    sides = zip(images.shape[2:], weight.shape[2:], padding, strict=True)
    return all(side + 2 * pad - kernel < MAX_MAP_SIDE for side, kernel, pad in sides)


class _Convolution(torch.autograd.Function):
    """A convolution at stride 1 without bias, whose weight gradient is computed by im2col."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.padding = padding
        return torch.conv2d(images, weight, padding=padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (grad,) = grads
        images, weight = ctx.saved_tensors
        for_images, for_weight, _ = ctx.needs_input_grad
        by_im2col = for_weight and not torch.is_grad_enabled()  # otherwise this gradient is itself differentiated
        grads_by_torch = torch.ops.aten.convolution_backward(
            grad, images, weight, None, [1, 1], ctx.padding, [1, 1], False, [0, 0], 1,
            [for_images, for_weight and not by_im2col, False],
        )  # fmt: skip
        for_weights = weight_gradient(images, grad, ctx.padding) if by_im2col else grads_by_torch[1]
        return grads_by_torch[0], for_weights, None


def weight_gradient(images: Tensor, grad: Tensor, padding: tuple[int, int]) -> Tensor:
    """The gradient of a convolution's weights at stride 1.

    Parameters
    ----------
    images
        (B, C, H, W), the input of the convolution.
    grad
        (B, D, h, w), the gradient of its output.
    padding
        Rows and columns of zeros added on each side.

    Returns
    -------
    Tensor
        (D, C, H + 2·rows - h + 1, W + 2·columns - w + 1).
    """
    batch, filters, *shape = grad.shape
    padded = F.pad(images, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1).contiguous()
    kernel = [side - out + 1 for side, out in zip(padded.shape[1:3], shape, strict=True)]
    picture, row, column, channel = padded.stride()
    patches = padded.as_strided(
        (batch, *shape, *kernel, padded.shape[3]), (picture, row, column, row, column, channel)
    ).reshape(batch * shape[0] * shape[1], -1)
    # Copied into rows first: the product of two untransposed matrices is faster.
    rows = grad.permute(0, 2, 3, 1).reshape(-1, filters).t().contiguous()
    return (rows @ patches).reshape(filters, *kernel, -1).permute(0, 3, 1, 2)
