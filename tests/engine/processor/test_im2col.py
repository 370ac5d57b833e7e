"""The weight gradient of a convolution by im2col, against torch's own."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from diptych.engine.processor.im2col import Im2col, weight_gradient


@pytest.mark.parametrize(
    ("kernel", "padding", "shape"),
    [((3, 3), (1, 1), (7, 7)), ((3, 3), (0, 0), (5, 6)), ((1, 1), (0, 0), (4, 4)), ((2, 3), (1, 0), (3, 8))],
)
def test_the_gradient_equals_that_of_torch(kernel, padding, shape):
    torch.manual_seed(0)
    images = torch.randn(5, 4, *shape, dtype=torch.float64)
    weight = torch.randn(6, 4, *kernel, dtype=torch.float64, requires_grad=True)
    output = torch.conv2d(images, weight, padding=padding)
    grad = torch.randn_like(output)
    (expected,) = torch.autograd.grad(output, weight, grad)
    gradient = weight_gradient(images, grad, padding)
    assert gradient.shape == expected.shape
    assert torch.allclose(gradient, expected)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, 3, padding=1, bias=False),
        nn.Conv2d(4, 6, 1),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    ],
    ids=["bias", "plain", "1x1", "stride", "same", "groups", "dilation"],
)
def test_every_convolution_has_the_same_gradients(convolution):
    images = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    plain, by_im2col = (_gradients(convolution, images, enabled) for enabled in (False, True))
    for one, other in zip(plain, by_im2col, strict=True):
        assert one.dtype == other.dtype
        assert _close(one.float(), other.float())


def _gradients(convolution: nn.Module, images: Tensor, enabled: bool) -> list[Tensor]:
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16), Im2col() if enabled else nullcontext():
        output = convolution(images)
    loss = output.float().square().sum()
    return [output.detach(), *torch.autograd.grad(loss, [images, *convolution.parameters()])]


def test_only_trainable_convolutions_on_small_maps_in_bfloat16_use_im2col():
    def backward_node(side: int, autocast: bool, trainable: bool = True) -> str:
        convolution = nn.Conv2d(3, 4, 3, padding=1, bias=False).requires_grad_(trainable)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast), Im2col():
            return type(convolution(torch.zeros(2, 3, side, side, requires_grad=True)).grad_fn).__name__

    assert backward_node(8, True) == "_ConvolutionBackward"
    assert {backward_node(9, True), backward_node(8, False), backward_node(8, True, trainable=False)} == {
        "ConvolutionBackward0"
    }


def test_stride_and_padding_as_plain_numbers_give_the_same_output():
    images, weight = torch.ones(2, 3, 6, 6), torch.ones(4, 3, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16), Im2col():
        outputs = [
            nn.functional.conv2d(images, weight, None, 1, (1, 1)),
            nn.functional.conv2d(images, weight, None, [1, 1], 1),
            nn.functional.conv2d(images, weight, padding=1),
        ]
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_gradients_can_be_differentiated_again():
    convolution = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    gradients = []
    for enabled in (False, True):
        inputs = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16), Im2col() if enabled else nullcontext():
            loss = convolution(inputs).float().square().sum()
        (slope,) = torch.autograd.grad(loss, inputs, create_graph=True)
        gradients.append(torch.autograd.grad(slope.square().sum(), convolution.weight)[0])
    assert _close(*gradients)


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal up to the rounding of bfloat16."""
    return torch.allclose(one, other, rtol=2e-2, atol=2e-2 * float(one.abs().max()))
