"""The private last layer: logistic regression whose steps are clipped and noised."""

import torch
from torch.nn import functional as F

from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.secret_randomness import new_secret
from diptych.recognition.training.private.private_last_layer import private_regression

CLASSES, WIDTH, STEPS = 3, 50, 30


def features(n, *, seed):
    """(n, WIDTH) of unit length with a direction for each class, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    centres = torch.eye(CLASSES, WIDTH)[labels]
    return F.normalize(centres + 0.1 * torch.randn(n, WIDTH, generator=generator) + 0.2, dim=1), labels


def budget(noise):
    return Budget(1.0, 1e-5, 1.0, 1.0, 1.0, noise, STEPS, 1.0)


def correct(noise, labels_as=lambda labels: labels, secret=None):
    training, labels = features(900, seed=0)
    head = private_regression(training, labels_as(labels), CLASSES, budget(noise), secret or new_secret())
    test, wanted = features(300, seed=1)
    return float((head.logits(test).argmax(1) == wanted).float().mean())


def test_it_learns_through_the_noise_of_epsilon_1_and_not_through_a_thousand_times_as_much():
    assert correct(20.6) > 0.95
    assert correct(20_600.0) < 0.7


def test_pictures_with_several_labels_are_learned_too():
    assert correct(20.6, lambda labels: F.one_hot(labels, CLASSES).float()) > 0.95


def test_one_picture_moves_the_first_step_by_no_more_than_the_clip():
    training, labels = features(60, seed=0)
    secret, one_step = new_secret(), Budget(1.0, 1e-5, 1.0, 1.0, 1.0, 1.0, 1, 0.1)
    training[0] = -training[0]
    # The expected batch is the number of pictures: with the same one, the sums differ by a picture's gradient.
    heads = [
        private_regression(training, changed, CLASSES, one_step, secret)
        for changed in (labels, torch.cat([labels[:1] + 1, labels[1:]]))
    ]
    moved = torch.cat([(heads[0].weight - heads[1].weight).flatten(), heads[0].bias - heads[1].bias])
    rate = 0.5 * CLASSES / 60 / 2**0.5
    assert 0 < float(moved.norm()) <= 2 * 0.1 * rate * (1 + 1e-4)


def test_the_same_secret_gives_the_same_head():
    training, labels = features(60, seed=0)
    secret = new_secret()
    heads = [private_regression(training, labels, CLASSES, budget(2.0), secret) for _ in range(2)]
    assert torch.equal(heads[0].weight, heads[1].weight)
