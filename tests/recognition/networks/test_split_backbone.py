import pytest
import torch

from diptych.recognition.networks import build
from diptych.recognition.networks.pretrained import Pretrained
from diptych.recognition.networks.split_backbone import split_backbone


@pytest.mark.parametrize("name", ["test_resnet", "tf_efficientnet_lite0", "resnet10t"])
def test_the_two_parts_give_the_features_and_share_the_parameters(name):
    network = Pretrained(name, classes=3, size=64).eval()
    split = split_backbone(network)
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(split.late(split.maps(pictures)), network.features(pictures), atol=1e-5)
    parts = {id(p) for part in (split.early, split.late) for p in part.parameters()}
    assert parts == {id(p) for p in network.backbone.parameters()}


def test_other_networks_are_not_divided():
    assert split_backbone(Pretrained("test_vit", classes=3, size=32)) is None
    assert split_backbone(build("convnet", classes=3, size=32)) is None
