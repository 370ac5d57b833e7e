"""The small network with group norm."""

import pytest
import torch

from diptych.recognition.networks.groupnet import GroupNet


@pytest.mark.parametrize("size", [8, 15, 32])
def test_it_takes_any_size_and_keeps_pictures_apart(size):
    network, images = GroupNet(5, size).train(), torch.randn(4, 3, size, size)
    together = network(images)
    assert together.shape == (4, 5)
    torch.testing.assert_close(torch.cat([network(image[None]) for image in images]), together, atol=1e-5, rtol=1e-4)


def test_it_has_few_weights():
    assert sum(p.numel() for p in GroupNet(10, 8).parameters()) == 21_930
