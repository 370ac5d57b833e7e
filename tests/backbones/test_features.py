"""Features of a backbone: of one length, the same for a picture in any batch, of its own size or enlarged."""

import pytest
import torch

from diptych.backbones import builtin
from diptych.backbones.features import BATCH, MIN_SIDE, BackboneFeatures


@pytest.fixture(scope="module")
def pictures():
    return torch.randint(0, 256, (BATCH + 3, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def features(size):
    return BackboneFeatures(builtin.builtin_weights(builtin.DEFAULT), size, torch.device("cpu"))


def test_each_picture_has_features_of_one_length(pictures):
    extract = features(32)
    computed = extract(pictures)
    assert extract.side == MIN_SIDE
    assert computed.shape == (len(pictures), 1280)
    torch.testing.assert_close(computed.square().sum(1), torch.full((len(pictures),), 1280.0))
    torch.testing.assert_close(extract(pictures[-2:]), computed[-2:], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("size", "side"), [(8, MIN_SIDE), (128, 128), (512, 224)])
def test_large_pictures_keep_their_size_up_to_that_of_the_pretraining(size, side):
    assert features(size).side == side
