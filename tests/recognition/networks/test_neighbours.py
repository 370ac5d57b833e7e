import math

import torch
from torch.nn import functional as F

from diptych.recognition.networks import build
from diptych.recognition.networks.neighbours import NeighboursHead


def head():
    draw = torch.Generator().manual_seed(0)
    examples = F.normalize(torch.randn(30, 4, generator=draw), dim=1)
    projection, shift = torch.randn(4, 12, generator=draw), torch.randn(4, generator=draw)
    return NeighboursHead(projection, shift, examples, torch.arange(30) % 3, 3, sharpness=20.0)


def test_logits_are_the_log_of_summed_similarities_of_each_class():
    neighbours = head()
    features = torch.randn(1, 12, generator=torch.Generator().manual_seed(1))
    projected = [sum(p * f for p, f in zip(row, features[0], strict=True)) for row in neighbours.projection]
    projected = torch.stack([p - s for p, s in zip(projected, neighbours.shift, strict=True)])
    length = math.sqrt(sum(float(p) ** 2 for p in projected))
    sums = [0.0, 0.0, 0.0]
    for number, example in enumerate(neighbours.examples):
        cosine = sum(float(p) * float(e) for p, e in zip(projected, example, strict=True)) / length
        sums[number % 3] += math.exp(20.0 * (cosine - 1))
    assert torch.allclose(neighbours(features)[0], torch.tensor(sums).log(), atol=1e-4)


def test_an_example_is_recognised_as_its_own_class():
    neighbours = head()
    inverse = torch.linalg.pinv(neighbours.projection)
    features = (neighbours.examples + neighbours.shift) @ inverse.T
    assert torch.equal(neighbours(features).argmax(1), torch.arange(30) % 3)


def test_a_network_takes_over_a_saved_head_of_examples():
    network = build("convnet", classes=3, size=8).eval()
    width = network.features(torch.zeros(1, 3, 8, 8)).shape[1]
    network.head = NeighboursHead(torch.eye(width)[:2], torch.zeros(2), torch.eye(2), torch.tensor([0, 2]), 3, 10.0)
    restored = build("convnet", classes=3, size=8).eval()
    restored.load_state_dict(network.state_dict())
    pictures = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(restored(pictures), network(pictures))
