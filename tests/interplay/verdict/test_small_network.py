"""Arms by a small network."""

import pytest
import torch

from diptych.data.images import Images
from diptych.interplay.verdict.learner import Hyperparameters, Length, train_head
from diptych.interplay.verdict.small_network import MixupTask, SmallNetwork
from diptych.recognition.networks import convnet

HOW = Hyperparameters(3e-3, 0.05)


@pytest.fixture(scope="module")
def digits():
    return Images.open("digits")[:300]


def test_it_learns_and_the_same_seed_gives_the_same_weights(digits):
    learner = SmallNetwork(digits, 8)
    weights = learner.fit(digits, HOW, Length(120, 32), 0)
    assert (learner.logits(weights, digits).argmax(1).numpy() == digits.labels).mean() > 0.9
    first, again, other = (learner.fit(digits, HOW, Length(3, 32), seed)["head.weight"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_refitting_changes_the_last_layer_alone(digits):
    learner = SmallNetwork(digits, 8)
    weights = learner.fit(digits, HOW, Length(20, 32), 0)
    refitted = learner.refit(weights, digits, HOW, Length(20, 32), 0)
    changed = {name for name in weights if not torch.equal(weights[name], refitted[name])}
    assert changed == {"head.weight", "head.bias"}


def test_mixup_mixes_the_losses_as_it_mixes_the_pictures():
    torch.manual_seed(0)
    network = convnet.ConvNet(3, 8)
    images, labels = torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    task = MixupTask(network, convnet.RECIPE, 1e-3, multi_label=False)
    torch.manual_seed(7)
    ((_, loss),) = task.losses(images, labels)
    torch.manual_seed(7)
    share, order = float(torch.distributions.Beta(0.2, 0.2).sample()), torch.randperm(6)
    mixed = network(share * images + (1 - share) * images[order]).log_softmax(1)
    rows = torch.arange(6)
    expected = -(share * mixed[rows, labels] + (1 - share) * mixed[rows, labels[order]]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_every_arm_is_trained_for_as_long_whatever_its_pictures():
    assert Length.of(60) == Length(400, 64)
    assert Length.of(1800) == Length(400, 128)
    assert Length.of(50_000) == Length(1953, 256)
    assert Length.of(750).share(0.2) == Length(80, 64)


def test_a_head_is_trained_by_the_gradient_of_cross_entropy():
    features, labels = torch.randn(40, 5), torch.randint(0, 3, (40,))
    start = torch.randn(3, 5), torch.randn(3)
    weight, bias = train_head(features, labels, start, Hyperparameters(1e-3, 0.0), Length(1, 40), 0)
    expected = [tensor.clone().requires_grad_() for tensor in start]
    torch.nn.functional.cross_entropy(features @ expected[0].T + expected[1], labels).backward()
    for trained, before, other in zip((weight, bias), start, expected, strict=True):
        # Adam's first step goes as far in each direction as the learning rate, against the gradient's sign.
        assert torch.equal((trained - before).sign(), -other.grad.sign())
