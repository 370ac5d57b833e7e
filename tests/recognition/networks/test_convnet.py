import pytest
from torch import nn

from diptych.recognition.networks.convnet import ConvNet


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_at_32_px_it_is_the_tutorials_network():
    assert count(ConvNet(10, 32)) == 122_570


@pytest.mark.parametrize("size", [8, 23, 24, 55, 56, 96, 224, 500])
def test_the_dense_layer_stays_small_at_any_size(size):
    network = ConvNet(10, size)
    assert 64 <= network.dense.in_features <= 9 * 9 * 64
    assert count(network) < 700_000
