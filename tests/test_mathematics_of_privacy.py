"""docs/mathematics.md, section 16: private gradients, membership inference and the bound from canaries, by loops."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.gradients import add_clipped, gradients_of_pictures, set_noised
from diptych.metrics.canaries import epsilon_lower_bound
from diptych.metrics.membership import log_relative_probability, threshold_at
from diptych.recognition.training.private.private_last_layer import RATE, private_regression

CLIP, SIGMA, EXPECTED, COPIES = 0.5, 1.3, 4.5, 2


def test_the_private_gradient_by_a_loop_over_the_pictures() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    parameters = list(network.parameters())
    images, labels = torch.randn(5, COPIES, 3, 4, 4), torch.tensor([0, 1, 2, 0, 1])
    totals = [torch.zeros_like(p) for p in parameters]
    with gradients_of_pictures([network]):
        logits = network(images.flatten(0, 1))
        F.cross_entropy(logits, labels.repeat_interleave(COPIES)).backward()
        add_clipped(totals, parameters, COPIES, CLIP)
    noise = torch.randn(sum(p.numel() for p in parameters))
    set_noised(parameters, totals, noise, SIGMA * CLIP, EXPECTED)
    noised = torch.cat([p.grad.flatten() for p in parameters])

    wanted = torch.zeros_like(noised)
    for copies, label in zip(images, labels, strict=True):
        of_copies = []
        for one in copies:
            loss = F.cross_entropy(network(one[None]), label[None])
            of_copies.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
        gradient = torch.stack(of_copies).mean(0)
        wanted += gradient * min(1.0, CLIP / float(gradient.norm()))
    torch.testing.assert_close(noised, (wanted + SIGMA * CLIP * noise) / EXPECTED)


def test_the_gradient_of_the_last_layer_in_closed_form() -> None:
    torch.manual_seed(1)
    features, labels = F.normalize(torch.randn(6, 4), dim=1), torch.tensor([0, 1, 2, 0, 1, 2])
    once = Budget(8.0, 1e-5, 8.0, 8.0, 1.0, 0.0, 1, CLIP)  # a step on all pictures, without noise
    head = private_regression(features, labels, 3, once, "0" * 64)
    rows = torch.cat([features, torch.ones(6, 1)], dim=1) / math.sqrt(2)
    total = torch.zeros(3, 5)
    for row, label in zip(rows, labels, strict=True):
        weights = torch.zeros(3, 5, requires_grad=True)
        F.cross_entropy((weights @ row)[None], label[None]).backward()
        total += weights.grad * min(1.0, CLIP / float(weights.grad.norm()))
    step = -RATE * 3 * total / 6 / math.sqrt(2)
    torch.testing.assert_close(head.weight, step[:, :4])
    torch.testing.assert_close(head.bias, step[:, 4])


def test_rmia_orders_pictures_as_the_relative_probability_does() -> None:
    draw = np.random.default_rng(2)
    target, references = draw.uniform(0.05, 0.95, 9), draw.uniform(0.05, 0.95, (4, 9))
    ratios = [target[i] / np.mean([references[r, i] for r in range(4)]) for i in range(9)]
    assert np.exp(log_relative_probability(np.log(target), np.log(references))) == pytest.approx(ratios)
    shares = [sum(ratios[z] <= ratios[x] for z in range(9)) / 9 for x in range(9)]
    assert np.argsort(shares).tolist() == np.argsort(ratios).tolist()


def test_the_threshold_is_exceeded_as_often_as_it_is_set_for() -> None:
    draw = np.random.default_rng(3)
    exceeded = [draw.normal() > threshold_at(draw.normal(size=59), 0.05) for _ in range(4000)]
    assert np.mean(exceeded) == pytest.approx(3 / 60, abs=0.012)


def test_the_bound_of_epsilon_by_the_binomial_tail() -> None:
    correct, guesses = 45, 50
    bound = epsilon_lower_bound(correct, guesses, canaries=100)
    right = math.exp(bound) / (1 + math.exp(bound))
    tail = sum(math.comb(guesses, k) * right**k * (1 - right) ** (guesses - k) for k in range(correct, guesses + 1))
    assert tail == pytest.approx(0.05, abs=1e-3)
