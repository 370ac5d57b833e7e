"""bfloat16, and float32 for close cases: the labels are those of float32."""

import pytest
import torch

from diptych import Images
from diptych.data.transforms import to_float
from diptych.recognition import networks
from diptych.recognition.inference.bfloat16 import BFloat16Network
from diptych.recognition.networks.pretrained import Pretrained
from diptych.recognition.networks.tta import margins


@pytest.fixture(scope="module", params=["speednet-s", "convnet", "timm:test_resnet"])
def network(request):
    torch.manual_seed(0)
    if request.param.startswith("timm:"):
        network = Pretrained(request.param.removeprefix("timm:"), classes=5, size=32).eval()
    else:
        network = networks.build(request.param, classes=5, size=32).eval()
    with torch.inference_mode():
        features = network.head_input(network.features(digits(range(64))))
    weight = torch.randn(5, features.shape[1])
    network.set_head(weight, -(weight @ features.mean(0)))  # centred logits: some are close
    return network


def digits(rows):
    return to_float(Images.open("digits")[rows].pixels(32))


def test_labels_are_those_of_float32_and_so_are_the_logits_of_close_cases(network):
    pictures = digits(range(200))
    with torch.inference_mode():
        logits, features = network.logits_and_features(pictures)
        bfloat16 = BFloat16Network(network, pictures[:16], logits[:16])
        rounded, rounded_features = bfloat16(pictures)
    assert torch.equal(rounded.argmax(1), logits.argmax(1))
    close = margins(logits, multi_label=False) < bfloat16.bound / 4
    assert close.any()
    assert torch.allclose(rounded[close], logits[close], rtol=0, atol=bfloat16.bound / 100)
    clear = margins(logits, multi_label=False) > 2 * bfloat16.bound
    assert clear.any()
    assert not torch.equal(rounded[clear], logits[clear]), "nothing was computed in bfloat16"
    assert (rounded - logits).abs().max() < bfloat16.bound
    assert torch.allclose(rounded_features, features, rtol=0.05, atol=0.05 * float(features.abs().max()))


def test_the_network_itself_is_not_changed(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pictures = digits(range(16))
    with torch.inference_mode():
        BFloat16Network(network, pictures, network.logits_and_features(pictures)[0])(pictures)
    after = network.state_dict()
    assert all(
        after[name].dtype == tensor.dtype and torch.equal(after[name], tensor) for name, tensor in before.items()
    )
