"""Sections 1 to 3 of docs/mathematics.md, recognition, against direct loops and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from diptych.recognition.networks import convnet
from diptych.recognition.networks.convnet import ConvNet
from diptych.recognition.training.task import ClassificationTask


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def convolved(pictures: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """Section 1, term by term: (N, C, H, W) and (O, C, k, k) -> (N, O, H', W')."""
    count, channels, height, width = pictures.shape
    filters, _, k, _ = weight.shape
    rows, columns = height + 2 * padding - k + 1, width + 2 * padding - k + 1
    out = torch.empty(count, filters, rows, columns, dtype=pictures.dtype)
    for n, o, i, j in itertools.product(range(count), range(filters), range(rows), range(columns)):
        total = float(bias[o])
        for c, u, v in itertools.product(range(channels), range(k), range(k)):
            y, x = i + u - padding, j + v - padding
            if 0 <= y < height and 0 <= x < width:
                total += float(weight[o, c, u, v]) * float(pictures[n, c, y, x])
        out[n, o, i, j] = total
    return out


def pooled(features: Tensor, k: int, s: int) -> Tensor:
    """Section 2, window by window."""
    rows, columns = ((side - k) // s + 1 for side in features.shape[2:])
    out = torch.empty(*features.shape[:2], rows, columns, dtype=features.dtype)
    for i, j in itertools.product(range(rows), range(columns)):
        window = [features[:, :, i * s + u, j * s + v] for u, v in itertools.product(range(k), range(k))]
        out[:, :, i, j] = torch.stack(window).amax(0)
    return out


def first(network: nn.Module, kind: type[nn.Module]) -> nn.Module:
    return next(module for module in network.modules() if isinstance(module, kind))


def test_convolution_is_cross_correlation_with_bias() -> None:
    for size, padding in ((24, 0), (8, 1)):  # the classic network pads small pictures only
        layer = first(ConvNet(10, size), nn.Conv2d).double()
        nn.init.normal_(layer.bias)
        pictures = torch.randn(1, 3, 8, 8, dtype=torch.float64)
        weight, bias = layer.weight.detach()[:4], layer.bias.detach()[:4]
        torch.testing.assert_close(layer(pictures)[:, :4], convolved(pictures, weight, bias, padding))


def test_the_classic_network_has_122570_parameters() -> None:
    layers = [32 * (3 * 9 + 1), 64 * (32 * 9 + 1), 64 * (64 * 9 + 1), 64 * (64 * 4 * 4 + 1), 10 * (64 + 1)]
    assert sum(p.numel() for p in ConvNet(10, 32).parameters()) == sum(layers) == 122_570


def test_max_pooling_takes_the_window_at_i_s_plus_u() -> None:
    layer = first(ConvNet(10, 32), nn.MaxPool2d)
    features = torch.randn(2, 3, 13, 13)
    torch.testing.assert_close(layer(features), pooled(features, k=2, s=2))
    rising = torch.arange(13.0).expand(1, 1, 13, 13)  # the largest of window j is its last column, j·s + k - 1
    assert layer(rising)[0, 0, 0].tolist() == [1, 3, 5, 7, 9, 11]
    stride_applied_twice = [(j * 2) * 2 + 1 for j in range(6)]  # windows are skipped, and the map is left
    assert stride_applied_twice == [1, 5, 9, 13, 17, 21]


def test_cross_entropy_with_smoothed_labels() -> None:
    task = ClassificationTask(ConvNet(10, 8), convnet.RECIPE, lr=1e-3, multi_label=False)
    pictures, labels = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 9, 9])
    ((_, loss),) = task.losses(pictures, labels)
    total, smoothing = 0.0, convnet.RECIPE.label_smoothing
    logits = task.network(pictures).detach().double()
    for z, y in zip(logits.tolist(), labels.tolist(), strict=True):
        p = [math.exp(a) / sum(math.exp(b) for b in z) for a in z]
        q = [(1 - smoothing) * (k == y) + smoothing / 10 for k in range(10)]
        total -= sum(qk * math.log(pk) for qk, pk in zip(q, p, strict=True))
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)


def test_equal_logits_cost_log_k_and_the_gradient_is_p_minus_q() -> None:
    task = ClassificationTask(ConvNet(10, 8), convnet.RECIPE, lr=1e-3, multi_label=False)
    for parameter in task.network.head.parameters():
        nn.init.zeros_(parameter)
    ((_, loss),) = task.losses(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3]))
    assert loss.item() == pytest.approx(math.log(10), rel=1e-6)
    loss.backward()
    smoothing = convnet.RECIPE.label_smoothing
    q = torch.tensor([(1 - smoothing) * (k < 4) / 4 + smoothing / 10 for k in range(10)])  # mean of the four targets
    torch.testing.assert_close(task.network.head.bias.grad, 0.1 - q)


def test_several_labels_are_independent_bernoulli_variables() -> None:
    task = ClassificationTask(ConvNet(5, 8), convnet.RECIPE, lr=1e-3, multi_label=True)
    pictures, labels = torch.randn(3, 3, 8, 8), torch.randint(0, 2, (3, 5)).float()
    ((_, loss),) = task.losses(pictures, labels)
    logits = task.network(pictures).detach().double()
    terms = [
        math.log1p(math.exp(z)) - q * z
        for z, q in zip(logits.flatten().tolist(), labels.flatten().tolist(), strict=True)
    ]
    assert loss.item() == pytest.approx(sum(terms) / 15, rel=1e-5)
