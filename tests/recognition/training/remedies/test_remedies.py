"""Each remedy raises the accuracy of the worst group, from scratch and on a frozen backbone's features."""

import numpy as np
import pytest
import torch
from torch import nn

from diptych import load
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.recognition.recognizer import Recognizer
from diptych.recognition.training.remedies.cells import Cells
from diptych.recognition.training.remedies.remedy import TABLE, WORST_GROUP, remedied_head
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LogisticRegression
from tests.audit.planted import coloured_digits, shuffled_rows

ROWS = shuffled_rows(3)
TRAINING = coloured_digits(ROWS[:700], 0.94, 0)
TEST = coloured_digits(ROWS[1000:], 0.5, 1)
REMEDIES = ("balanced", "last-layer", "group-dro")


def worst_group(recognizer: Recognizer) -> float:
    cells, correct = Cells.of(TEST, "background"), recognizer.predict(TEST).labels == TEST.labels
    return min(float(correct[cells.numbers == cell].mean()) for cell in range(4))


def fit(**options) -> Recognizer:
    return Recognizer("convnet", size=8, epochs=8, **options).fit(TRAINING)


@pytest.fixture(scope="module")
def plain() -> float:
    return worst_group(fit())


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedy_raises_the_worst_groups_accuracy_of_a_network_from_scratch(plain, remedy, tmp_path):
    recognizer = fit(group="background", remedy=remedy)
    assert worst_group(recognizer) >= plain + 0.15
    table = recognizer.report_.tables[TABLE]
    assert table.columns == ["", "pictures", *(["before"] if remedy == "last-layer" else []), "after"]
    assert WORST_GROUP in recognizer.scores_
    assert any(f"Remedy {remedy} by background: the worst group" in finding for finding in recognizer.report_.findings)
    loaded = load(recognizer.save(tmp_path / "model"))
    assert loaded.parameters()["remedy"] == remedy
    assert torch.equal(loaded.embed(TEST[:8]), recognizer.embed(TEST[:8]))


def planted_features(n: int, agreement: float, seed: int) -> tuple[LabelledFeatures, Cells]:
    """Features of which one follows the label weakly, and another a group that mostly agrees with it, strongly."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    group = np.where(draw.random(n) < agreement, labels, 1 - labels)
    features = draw.normal(size=(n, 12))
    features[:, 0] += 2.4 * (2 * labels - 1)
    features[:, 1] += 4.0 * (2 * group - 1)
    pixels = np.zeros((n, 8, 8, 3), np.uint8)
    images = Images.from_arrays(pixels, labels, classes=("a", "b"), groups={"group": group.astype(str)})
    return LabelledFeatures(torch.from_numpy(features).float(), torch.from_numpy(labels)), Cells.of(images, "group")


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedied_head_does_better_on_the_worst_cell(remedy):
    training, cells = planted_features(600, 0.95, 0)
    test, of_test = planted_features(2000, 0.5, 1)

    def worst(head) -> float:
        correct = (head.logits(test.features).argmax(1) == test.labels).numpy()
        return min(float(correct[of_test.numbers == cell].mean()) for cell in range(4))

    before = worst(LogisticRegression(training, 2).fit(1e-2))
    assert worst(remedied_head(remedy, training, cells, 2, 0)) >= before + 0.03


def test_a_pretrained_backbone_stays_as_it_is_and_both_heads_are_measured(tmp_path):
    draw = np.random.default_rng(5)
    labels = np.arange(60) % 2
    camera = np.where(draw.random(60) < 0.75, labels, 1 - labels)
    pixels = draw.integers(0, 90, (60, 32, 32, 3)).astype(np.uint8)
    pixels[labels == 1, 8:24, 8:24] += 60
    pixels[:, :3] += (80 * camera[:, None, None, None]).astype(np.uint8)
    images = Images.from_arrays(pixels, labels, classes=("dark", "light"), groups={"camera": camera.astype(str)})
    recognizer = Recognizer("lite0", size=32, minutes=1, group="camera", remedy="last-layer").fit(
        images, validate=images
    )
    assert recognizer.report_.tables[TABLE].columns == ["", "pictures", "before", "after"]
    assert recognizer.facts_["untuned"].startswith("The backbone was not tuned: a remedy fits the head alone")
    assert recognizer.score(images) > 0.7


def test_the_same_seed_gives_the_same_model_with_a_remedy():
    recognizers = [
        Recognizer("convnet", size=8, epochs=1, group="background", remedy="group-dro").fit(TRAINING) for _ in range(2)
    ]
    one, other = (recognizer.predict(TEST[:50]).probabilities for recognizer in recognizers)
    assert np.array_equal(one, other)


def test_a_remedy_without_groups_and_a_group_without_remedy_are_refused():
    with pytest.raises(UsageError, match="set both remedy and group"):
        Recognizer(remedy="balanced")
    with pytest.raises(UsageError, match="set both remedy and group"):
        Recognizer(group="camera")
    with pytest.raises(UsageError, match="no column 'camera'"):
        Recognizer("convnet", epochs=1, group="camera", remedy="balanced").fit(TRAINING)


class OwnNetwork(nn.Module):
    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * size * size, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.flatten(1))


def test_the_last_layer_of_a_network_of_ones_own_is_not_refitted():
    with pytest.raises(UsageError, match="Choose the remedy balanced or group-dro"):
        Recognizer(OwnNetwork, size=8, epochs=1, group="background", remedy="last-layer").fit(TRAINING)


def test_a_recognizer_with_a_remedy_is_not_trained_further(tmp_path):
    recognizer = Recognizer("convnet", size=8, epochs=1, group="background", remedy="balanced").fit(TRAINING)
    with pytest.raises(UsageError, match="Fit again, with more minutes"):
        recognizer.fit(TRAINING, more=0.1)
