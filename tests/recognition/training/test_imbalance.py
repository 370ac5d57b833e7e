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


def optimal_logits(n, shares, seed):
    """Bayes-optimal logits for two overlapping clouds, drawn as often as the shares say, and the targets."""
    draw = torch.Generator().manual_seed(seed)
    targets = torch.multinomial(shares, n, replacement=True, generator=draw)
    observed = torch.randn(n, generator=draw) + 2.0 * targets
    likelihood = torch.stack((-(observed**2) / 2, -((observed - 2) ** 2) / 2), 1)
    return likelihood + shares.log(), targets


@pytest.mark.parametrize(
    ("counts", "uneven"), [((30, 30), False), ((30, 11), False), ((30, 10), True), ((9, 90, 9), True)]
)
def test_three_times_as_many_pictures_count_as_uneven(counts, uneven):
    assert imbalance.is_imbalanced(images(counts)) is uneven


def test_multi_label_sets_are_never_uneven():
    labels = np.zeros((20, 2), bool)
    labels[:, 0] = True
    labels[0, 1] = True
    pixels = np.zeros((20, 8, 8, 3), np.uint8)
    assert not imbalance.is_imbalanced(Images.from_arrays(pixels, labels, classes=("a", "b")))


def test_with_enough_pictures_the_adjustment_undoes_the_shares():
    shares = torch.tensor([0.98, 0.02])
    logits, targets = optimal_logits(100_000, shares, 0)
    assert imbalance.logit_adjustment_strength(logits, targets, shares) == pytest.approx(1.0, abs=0.2)


def test_with_few_pictures_the_adjustment_does_not_follow_chance():
    shares = torch.tensor([0.98, 0.02])
    strengths = []
    for seed in range(20):
        logits, targets = optimal_logits(600, shares, seed)
        strengths.append(imbalance.logit_adjustment_strength(logits, targets, shares))
    even, even_targets = optimal_logits(20_000, torch.tensor([0.5, 0.5]), 99)
    even = even + shares.log()
    scores = [balanced_accuracy(even_targets, (even - s * shares.log()).argmax(1), 2) for s in strengths]
    assert min(scores) > balanced_accuracy(even_targets, even.argmax(1), 2) + 0.05
    assert np.mean(scores) > 0.8  # of 0.84 that is possible


def test_the_best_method_is_built_into_the_network():
    training, validation = images((200, 20)), images((60, 12), seed=1)
    shares = imbalance.class_shares(training)
    torch.manual_seed(0)
    for name in ("convnet", "speednet"):
        network = networks.build(name, classes=2, size=8).eval()
        after, method = imbalance.rebalance(
            network,
            validation=validation,
            validation_outputs=compute_outputs(network, validation, 8),
            training=training,
            training_outputs=compute_outputs(network, training, 8),
            shares=shares,
            hurry=False,
        )
        assert set(method.compared) == {"as trained", "logit adjustment", "last layer on evenly drawn pictures"}
        balanced = {name: score for name, (score, _) in method.compared.items()}
        near = method.name == "logit adjustment" and balanced[method.name] > max(balanced.values()) - 0.12
        assert near or balanced[method.name] == max(balanced.values())
        assert torch.allclose(compute_outputs(network, validation, 8).logits, after.logits, atol=1e-4)
        again = networks.build(name, classes=2, size=8).eval()
        again.load_state_dict(network.state_dict())
        assert torch.equal(compute_outputs(again, validation, 8).logits, compute_outputs(network, validation, 8).logits)


def test_a_last_layer_that_is_hardly_better_is_not_used():
    training, validation = images((400, 40)), images((60, 12), seed=1)
    draw = torch.Generator().manual_seed(0)
    targets = torch.tensor(validation.labels)
    network = networks.build("convnet", classes=2, size=8).eval()
    training_outputs, outputs = compute_outputs(network, training, 8), compute_outputs(network, validation, 8)

    def method_for(accuracy):
        """The method for logits of this accuracy on both classes, and features that separate them wholly."""
        side = torch.where(torch.rand(len(targets), generator=draw) < accuracy, 1.0, -1.0) * (2.0 * targets - 1)
        features = _separating(training_outputs.features, torch.tensor(training.labels))
        validation_features = _separating(outputs.features, targets)
        return imbalance.rebalance(
            network,
            validation=validation,
            validation_outputs=Outputs(torch.stack((-side, side), 1) * 9, validation_features, outputs.slopes),
            training=training,
            training_outputs=Outputs(training_outputs.logits, features, training_outputs.slopes),
            shares=imbalance.class_shares(training),
            hurry=False,
        )[1]

    barely, plainly = method_for(0.99), method_for(0.6)
    assert barely.name != "last layer on evenly drawn pictures"
    assert plainly.name == "last layer on evenly drawn pictures"


def _separating(features, labels):
    """Features of which the first separates the classes."""
    separating = torch.zeros_like(features)
    separating[:, 0] = 2.0 * labels - 1
    return separating


def test_a_custom_network_gets_logit_adjustment_only():
    class Mean(torch.nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.line = torch.nn.Linear(1, classes)

        def forward(self, pictures):
            return self.line(pictures.mean((1, 2, 3))[:, None])

    training = images((200, 20))
    network = networks.build(Mean, classes=2, size=8).eval()
    outputs = compute_outputs(network, training, 8)
    shifted = Outputs(outputs.logits + torch.tensor([1.0, -1.0]), outputs.features, outputs.slopes)
    _, method = imbalance.rebalance(
        network,
        validation=training,
        validation_outputs=shifted,
        training=training,
        training_outputs=outputs,
        shares=imbalance.class_shares(training),
        hurry=True,
    )
    assert set(method.compared) == {"as trained", "logit adjustment"}


def test_fit_rebalances_uneven_classes_and_reports_it(tmp_path):
    training, validation, even = images((300, 30)), images((60, 12), seed=1), images((200, 200), seed=2)
    scores = {}
    for setting in ("auto", "none"):
        recognizer = Recognizer("convnet", epochs=6, imbalance=setting)
        recognizer.fit(training, validate=validation, into=tmp_path / setting)
        targets, predicted = torch.from_numpy(even.labels.copy()), torch.from_numpy(recognizer.predict(even).labels)
        scores[setting] = balanced_accuracy(targets, predicted, 2)
        noted = any("classes are uneven (1 to 10)" in finding for finding in recognizer.report_.findings)
        assert noted is (setting == "auto")
        assert ("Imbalance methods" in recognizer.report_.tables) is (setting == "auto")
        assert np.array_equal(
            load(tmp_path / setting).predict(even).probabilities, recognizer.predict(even).probabilities
        )
    assert scores["auto"] > scores["none"] + 0.05
    history = [json.loads(line) for line in (tmp_path / "auto" / "history.jsonl").read_text().splitlines()]
    assert "balanced accuracy" in history[-1]["scores"]
