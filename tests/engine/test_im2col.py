"""The gradient of a convolution's weights by im2col, against torch's own."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from diptych.engine.im2col import Im2col, weight_gradient


@pytest.mark.parametrize(
    ("kernel", "padding", "shape"),
    [((3, 3), (1, 1), (7, 7)), ((3, 3), (0, 0), (5, 6)), ((1, 1), (0, 0), (4, 4)), ((2, 3), (1, 0), (3, 8))],
)
def test_the_gradient_is_that_of_torch(kernel, padding, shape):
    torch.manual_seed(0)
    images = torch.randn(5, 4, *shape, dtype=torch.float64)
    weight = torch.randn(6, 4, *kernel, dtype=torch.float64, requires_grad=True)
    answer = torch.conv2d(images, weight, padding=padding)
    grad = torch.randn_like(answer)
    (wanted,) = torch.autograd.grad(answer, weight, grad)
    told = weight_gradient(images, grad, padding)
    assert told.shape == wanted.shape
    assert torch.allclose(told, wanted)


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
def test_every_convolution_learns_the_same(convolution):
    images = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    told = {on: _gradients(convolution, images, on) for on in (False, True)}
    for one, other in zip(told[False], told[True], strict=True):
        assert one.dtype == other.dtype
        assert _about(one.float(), other.float())


def _gradients(convolution: nn.Module, images: Tensor, on: bool) -> list[Tensor]:
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16), Im2col() if on else nullcontext():
        answer = convolution(images)
    loss = answer.float().square().sum()
    return [answer.detach(), *torch.autograd.grad(loss, [images, *convolution.parameters()])]


def test_small_maps_in_bfloat16_go_another_way_and_nothing_else():
    def way(side: int, autocast: bool, learned: bool = True) -> str:
        convolution = nn.Conv2d(3, 4, 3, padding=1, bias=False).requires_grad_(learned)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast), Im2col():
            return type(convolution(torch.zeros(2, 3, side, side, requires_grad=True)).grad_fn).__name__

    assert way(8, True) == "_ConvolutionBackward"
    assert {way(9, True), way(8, False), way(8, True, learned=False)} == {"ConvolutionBackward0"}


def test_a_convolution_called_with_plain_numbers_is_the_same():
    images, weight = torch.ones(2, 3, 6, 6), torch.ones(4, 3, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16), Im2col():
        answers = [
            nn.functional.conv2d(images, weight, None, 1, (1, 1)),
            nn.functional.conv2d(images, weight, None, [1, 1], 1),
            nn.functional.conv2d(images, weight, padding=1),
        ]
    assert all(torch.equal(answer, answers[0]) for answer in answers)


def test_gradients_can_be_differentiated_again():
    convolution = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for on in (False, True):
        shown = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16), Im2col() if on else nullcontext():
            answer = convolution(shown).float().square().sum()
        (slope,) = torch.autograd.grad(answer, shown, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), convolution.weight)[0])
    assert _about(*found)


def _about(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same but for how bfloat16 rounds."""
    return torch.allclose(one, other, rtol=2e-2, atol=2e-2 * float(one.abs().max()))
