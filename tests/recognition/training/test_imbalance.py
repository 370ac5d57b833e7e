import json

import numpy as np
import pytest
import torch

from diptych import Images, Recognizer, load
from diptych.metrics.classification import balanced_accuracy
from diptych.recognition import networks
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.training import imbalance


def images(counts, seed=0, size=8):
    """Pictures of one brightness a class, in noise: classes that overlap."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = draw.normal(100 + 12 * labels[:, None, None, None], 60, (len(labels), size, size, 3))
    names = tuple("abcdef"[: len(counts)])
    return Images.from_arrays(pixels.clip(0, 255).astype(np.uint8), labels, classes=names)


def answers(n, shares, seed):
    """Logits of a perfect reader of two overlapping clouds, drawn as often as the shares say, and the truth."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.multinomial(shares, n, replacement=True, generator=draw)
    seen = torch.randn(n, generator=draw) + 2.0 * truth
    likelihood = torch.stack((-(seen**2) / 2, -((seen - 2) ** 2) / 2), 1)
    return likelihood + shares.log(), truth


@pytest.mark.parametrize(
    ("counts", "uneven"), [((30, 30), False), ((30, 11), False), ((30, 10), True), ((9, 90, 9), True)]
)
def test_three_times_as_many_pictures_count_as_uneven(counts, uneven):
    assert imbalance.is_uneven(images(counts)) is uneven


def test_several_labels_are_never_uneven():
    labels = np.zeros((20, 2), bool)
    labels[:, 0] = True
    labels[0, 1] = True
    pixels = np.zeros((20, 8, 8, 3), np.uint8)
    assert not imbalance.is_uneven(Images.from_arrays(pixels, labels, classes=("a", "b")))


def test_with_pictures_enough_the_adjustment_undoes_the_shares():
    shares = torch.tensor([0.98, 0.02])
    logits, truth = answers(100_000, shares, 0)
    assert imbalance.logit_adjustment_strength(logits, truth, shares) == pytest.approx(1.0, abs=0.2)


def test_with_few_pictures_the_adjustment_is_no_matter_of_chance():
    shares = torch.tensor([0.98, 0.02])
    found = []
    for seed in range(20):
        logits, truth = answers(600, shares, seed)
        found.append(imbalance.logit_adjustment_strength(logits, truth, shares))
    even, of = answers(20_000, torch.tensor([0.5, 0.5]), 99)
    even = even + shares.log()
    told = [balanced_accuracy(of, (even - s * shares.log()).argmax(1), 2) for s in found]
    assert min(told) > balanced_accuracy(of, even.argmax(1), 2) + 0.05
    assert np.mean(told) > 0.8  # of 0.84 that can be had


def test_the_best_cure_is_built_into_the_network():
    training, validation = images((200, 20)), images((60, 12), seed=1)
    shares = imbalance.class_shares(training)
    torch.manual_seed(0)
    for name in ("convnet", "speednet"):
        network = networks.build(name, classes=2, size=8).eval()
        seen, learned = compute_outputs(network, validation, 8), compute_outputs(network, training, 8)
        after, cure = imbalance.rebalance(network, seen, validation, learned, training, shares, hurry=False)
        assert set(cure.tried) == {"as trained", "logit adjustment", "last layer on evenly drawn pictures"}
        balanced = {name: score for name, (score, _) in cure.tried.items()}
        near = cure.name == "logit adjustment" and balanced[cure.name] > max(balanced.values()) - 0.12
        assert near or balanced[cure.name] == max(balanced.values())
        assert torch.allclose(compute_outputs(network, validation, 8).logits, after.logits, atol=1e-4)
        again = networks.build(name, classes=2, size=8).eval()
        again.load_state_dict(network.state_dict())
        assert torch.equal(compute_outputs(again, validation, 8).logits, compute_outputs(network, validation, 8).logits)


def test_a_last_layer_that_is_hardly_better_is_not_taken():
    training, validation = images((400, 40)), images((60, 12), seed=1)
    draw = torch.Generator().manual_seed(0)
    truth = torch.tensor(validation.labels)
    network = networks.build("convnet", classes=2, size=8).eval()
    taught, known = compute_outputs(network, training, 8), compute_outputs(network, validation, 8)

    def cure_of(right):
        """Logits that tell this share of both classes' validation pictures right; features that tell all."""
        side = torch.where(torch.rand(len(truth), generator=draw) < right, 1.0, -1.0) * (2.0 * truth - 1)
        seen = Outputs(torch.stack((-side, side), 1) * 9, _telling(known.features, truth), known.slopes)
        learned = Outputs(taught.logits, _telling(taught.features, torch.tensor(training.labels)), taught.slopes)
        return imbalance.rebalance(
            network, seen, validation, learned, training, imbalance.class_shares(training), hurry=False
        )[1]

    barely, plainly = cure_of(0.99), cure_of(0.6)
    assert barely.name != "last layer on evenly drawn pictures"
    assert plainly.name == "last layer on evenly drawn pictures"


def _telling(features, labels):
    """Features of which the first tells the label."""
    told = torch.zeros_like(features)
    told[:, 0] = 2.0 * labels - 1
    return told


def test_an_own_network_is_adjusted_alone():
    class Mean(torch.nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.line = torch.nn.Linear(1, classes)

        def forward(self, pictures):
            return self.line(pictures.mean((1, 2, 3))[:, None])

    training = images((200, 20))
    network = networks.build(Mean, classes=2, size=8).eval()
    seen = compute_outputs(network, training, 8)
    shifted = Outputs(seen.logits + torch.tensor([1.0, -1.0]), seen.features, seen.slopes)
    _, cure = imbalance.rebalance(
        network, shifted, training, seen, training, imbalance.class_shares(training), hurry=True
    )
    assert set(cure.tried) == {"as trained", "logit adjustment"}


def test_fit_cures_uneven_classes_and_says_so(tmp_path):
    training, validation, even = images((300, 30)), images((60, 12), seed=1), images((200, 200), seed=2)
    told = {}
    for balance in ("auto", "none"):
        made = Recognizer("convnet", epochs=6, imbalance=balance)
        made.fit(training, validate=validation, into=tmp_path / balance)
        truth, guess = torch.from_numpy(even.labels.copy()), torch.from_numpy(made.predict(even).labels)
        told[balance] = balanced_accuracy(truth, guess, 2)
        noted = any("classes are uneven (1 to 10)" in finding for finding in made.report_.findings)
        assert noted is (balance == "auto")
        assert ("Against uneven classes" in made.report_.tables) is (balance == "auto")
        assert np.array_equal(load(tmp_path / balance).predict(even).probabilities, made.predict(even).probabilities)
    assert told["auto"] > told["none"] + 0.05
    history = [json.loads(line) for line in (tmp_path / "auto" / "history.jsonl").read_text().splitlines()]
    assert "balanced accuracy" in history[-1]["scores"]
