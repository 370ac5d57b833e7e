"""Section 14 of docs/mathematics.md, bias and remedies, against direct loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.nn import functional as F

from diptych.audit.bias.predictability import predict
from diptych.engine.loader import balanced_rows
from diptych.metrics.fairness import equalised_odds_gap
from diptych.metrics.stratified import stratified_difference
from diptych.recognition.networks import build, recipe_of
from diptych.recognition.training.remedies import last_layer
from diptych.recognition.training.remedies.cells import Cells
from diptych.recognition.training.remedies.group_dro import RATE, CellWeights, GroupDRO
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LogisticRegression


def cells_of(numbers: list[int], labels: list[int]) -> Cells:
    return Cells(np.array(numbers), np.array(labels), tuple(f"cell {i}" for i in range(len(labels))))


def test_the_skill_is_the_balanced_accuracy_from_chance_to_one() -> None:
    labels = np.array([0] * 60 + [1] * 30 + [2] * 30)
    values = np.eye(3)[labels]
    values[:12] = values[[60] * 12]  # a fifth of the first class looks like the second
    folds = [np.arange(i, 120, 3) for i in range(3)]
    result = predict(values, labels, 3, folds, narrow=True)
    recalls = [float((result.says[labels == k] == k).mean()) for k in range(3)]
    assert recalls == pytest.approx([0.8, 1, 1])
    assert result.skill.value == pytest.approx((sum(recalls) / 3 - 1 / 3) / (1 - 1 / 3))
    assert result.skill.low < result.skill.value < result.skill.high


def test_the_stratified_difference_and_its_test_by_loops() -> None:
    strata = [(45, 50, 12, 30), (18, 40, 3, 20), (7, 7, 4, 9)]  # a, m, b, n
    above = below = excess = variance = p_sum = q_sum = 0.0
    for a, m, b, n in strata:
        total, right = m + n, a + b
        above += (a * n - b * m) / total
        below += m * n / total
        excess += a - m * right / total
        variance += m * n * right * (total - right) / (total**2 * (total - 1))
        p_sum += (m**2 * b - n**2 * a + m * n * (n - m) / 2) / total**2
        q_sum += (a * (n - b) + b * (m - a)) / (2 * total)
    result = stratified_difference(*(np.array(column) for column in zip(*strata, strict=True)))
    difference = above / below
    half = norm.ppf(0.975) * math.sqrt(difference * p_sum + q_sum) / below
    assert result.value == pytest.approx(difference)
    assert result.p == pytest.approx(norm.sf((excess - 0.5) / math.sqrt(variance)))
    assert (result.low, result.high) == pytest.approx((difference - half, difference + half))


def test_equalised_odds_by_loops() -> None:
    draw = np.random.default_rng(1)
    targets, predicted, groups = (draw.integers(0, k, 200) for k in (3, 3, 2))
    for label in range(3):
        gaps = []
        for positive in (True, False):
            rates = []
            for group in range(2):
                rows = [i for i in range(200) if groups[i] == group and (targets[i] == label) == positive]
                rates.append(sum(int(predicted[i] == label) for i in rows) / len(rows))
            gaps.append(max(rates) - min(rates))
        assert equalised_odds_gap(targets, predicted, groups, label, 2) == pytest.approx(max(gaps))


def test_balanced_rows_take_each_cell_equally_often() -> None:
    numbers = np.array([0] * 9 + [1] * 3 + [2])
    rows = balanced_rows(numbers, 12, torch.Generator().manual_seed(0))
    assert np.bincount(numbers[rows]).tolist() == [4, 4, 4]
    assert len(set(rows[numbers[rows] == 0])) == 4
    assert np.bincount(rows, minlength=13)[9:12].min() == 1  # none a second time before all a first time


def test_the_retrained_head_is_the_mean_of_heads_on_balanced_pictures() -> None:
    generator = torch.Generator().manual_seed(2)
    numbers = [0] * 20 + [1] * 6 + [2] * 5 + [3] * 20
    cells = cells_of(numbers, [0, 0, 1, 1])
    labels = torch.from_numpy(cells.labels[cells.numbers])
    training = LabelledFeatures(torch.randn(51, 4, generator=generator) + labels[:, None], labels)
    head = last_layer.retrained_head(training, cells, 2, 7)
    penalty = last_layer._penalty(training, cells, 2, 7)
    weights = []
    for draw in range(10):
        rows = balanced_rows(cells.numbers, 4 * 5, torch.Generator().manual_seed(8 + draw))
        assert np.bincount(cells.numbers[rows]).tolist() == [5, 5, 5, 5]
        weights.append(LogisticRegression(training[torch.from_numpy(rows)], 2).fit(penalty).weight)
    assert torch.allclose(head.weight, sum(weights) / 10)


def test_group_dro_by_a_loop_over_the_pictures() -> None:
    torch.manual_seed(3)
    network = build("convnet", classes=2, size=8)
    cells = cells_of([0, 1, 2], [0, 0, 1])
    recipe = recipe_of("convnet")
    task = GroupDRO(network, recipe, 0.1, cells)
    q = [1 / 3] * 3
    for _ in range(3):
        images, numbers = torch.randn(10, 3, 8, 8), torch.tensor([0, 0, 0, 1, 1, 0, 0, 0, 1, 0])
        network.eval()
        ((player, loss),) = task.losses(images, numbers)
        losses = [[], [], []]
        for image, number in zip(images, numbers.tolist(), strict=True):
            target = torch.tensor([cells.labels[number]])
            value = F.cross_entropy(network(image[None]), target, label_smoothing=recipe.label_smoothing)
            losses[number].append(float(value.detach()))
        means = [sum(part) / len(part) if part else 0.0 for part in losses]
        assert player == "network"
        assert float(loss.detach()) == pytest.approx(sum(w * m for w, m in zip(q, means, strict=True)), rel=1e-5)
        assert task.modules()["cells"].weights.tolist() == pytest.approx(q, rel=1e-5)
        grown = [weight * math.exp(RATE * mean) for weight, mean in zip(q, means, strict=True)]
        q = [weight / sum(grown) for weight in grown]


def test_group_dro_by_the_losses_of_all_processes() -> None:
    cells = cells_of([0, 1, 2], [0, 0, 1])
    alone, first, second = (CellWeights(cells) for _ in range(3))
    losses, numbers = torch.tensor([1.0, 2.0, 5.0, 3.0, 4.0]), torch.tensor([0, 0, 1, 1, 1])
    alone.remember(losses, numbers)
    first.remember(losses[:3], numbers[:3])
    second.remember(losses[3:], numbers[3:])
    for name, mine in first.named_buffers():  # as the engine does after a step
        other = dict(second.named_buffers())[name]
        if mine.is_floating_point():
            mine.copy_((mine + other) / 2)
    torch.testing.assert_close(first.grow(), alone.grow())
