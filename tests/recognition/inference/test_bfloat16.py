"""bfloat16 first, float32 where it is close: the labels are float32's."""

import pytest
import torch

from diptych import Images
from diptych.data.transforms import to_float
from diptych.recognition import networks
from diptych.recognition.inference.bfloat16 import BFloat16Network
from diptych.recognition.networks.pretrained import Pretrained
from diptych.recognition.networks.tta import margins


@pytest.fixture(scope="module", params=["speednet", "convnet", "timm:resnet10t"])
def network(request):
    torch.manual_seed(0)
    if request.param.startswith("timm:"):
        made = Pretrained(request.param.removeprefix("timm:"), classes=5, size=32).eval()
    else:
        made = networks.build(request.param, classes=5, size=32).eval()
    with torch.inference_mode():
        seen = made.features(digits(range(64)))
    weight = torch.randn(5, seen.shape[1])
    made.set_head(weight, -(weight @ seen.mean(0)))  # answers on either side of a draw
    return made


def digits(rows):
    return to_float(Images.open("digits")[rows].pixels(32))


def test_labels_are_those_of_float32_and_close_answers_are_its_own(network):
    pictures = digits(range(400))
    with torch.inference_mode():
        told, features = network.logits_and_features(pictures)
        half = BFloat16Network(network, pictures[:16], told[:16])
        rounded, seen = half(pictures)
    assert torch.equal(rounded.argmax(1), told.argmax(1))
    close = margins(told, multi_label=False) < half.bound / 4
    assert close.any()
    assert torch.allclose(rounded[close], told[close], rtol=0, atol=half.bound / 100)
    clear = margins(told, multi_label=False) > 2 * half.bound
    assert clear.any()
    assert not torch.equal(rounded[clear], told[clear]), "nothing was asked in bfloat16"
    assert (rounded - told).abs().max() < half.bound
    assert torch.allclose(seen, features, rtol=0.05, atol=0.05 * float(features.abs().max()))


def test_the_network_itself_stays_as_it_is(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pictures = digits(range(16))
    with torch.inference_mode():
        BFloat16Network(network, pictures, network.logits_and_features(pictures)[0])(pictures)
    after = network.state_dict()
    assert all(
        after[name].dtype == tensor.dtype and torch.equal(after[name], tensor) for name, tensor in before.items()
    )
