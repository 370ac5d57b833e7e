import pytest
import torch
from torch import nn

from diptych.synthesis.networks.blocks import ResidualBlock
from diptych.synthesis.networks.unet import UNet

WHOLE, LEFT_HALF = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[0.5, 1.0, -0.5, 0.0]])


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = UNet(size=16, classes=2, width=16, multiples=[1, 2], windows=True)
    for p in network.parameters():
        nn.init.normal_(p, std=0.1)  # layers that start at zero would hide their inputs
    return network


def test_the_window_changes_the_estimate_and_the_whole_picture_does_not(network):
    pictures, times, labels = torch.rand(1, 3, 16, 16), torch.tensor([0.5]), torch.tensor([1])
    without_window = network(pictures, times, labels)
    torch.testing.assert_close(network(pictures, times, labels, WHOLE), without_window)
    assert (network(pictures, times, labels, LEFT_HALF) - without_window).abs().max() > 0.01


def test_windows_add_one_weight(network):
    plain = UNet(size=16, classes=2, width=16, multiples=[1, 2])
    assert set(network.state_dict()) - set(plain.state_dict()) == {"window.weight"}


def test_dropout_drops_whole_channels_in_training_only():
    torch.manual_seed(0)
    block = ResidualBlock(16, 16, dropout=0.5)
    nn.init.dirac_(block.conv2.weight)
    changes = (block(torch.zeros(4, 16, 5, 5)) - block.conv2.bias[:, None, None]).abs().amax(dim=(2, 3))  # (4, 16)
    assert 16 < int((changes == 0).sum()) < 48
    block.eval()
    assert torch.equal(block(torch.zeros(4, 16, 5, 5)), block(torch.zeros(4, 16, 5, 5)))
