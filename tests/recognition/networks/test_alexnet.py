import pytest
from torch import nn

from diptych.recognition.networks.alexnet import AlexNet


def test_at_224_px_it_has_the_layout_of_2012():
    network = AlexNet(1000, 224)
    filters = [(m.out_channels, m.kernel_size[0]) for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert filters == [(96, 11), (256, 5), (384, 3), (384, 3), (256, 3)]
    dense = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
    assert dense == [(256 * 6 * 6, 4096), (4096, 4096), (4096, 1000)]


@pytest.mark.parametrize(("size", "width"), [(8, 256), (32, 1024), (96, 3072)])
def test_the_dense_layers_scale_with_the_picture_size(size, width):
    assert AlexNet(2, size).head.in_features == width
