import pytest
import torch
from sklearn.metrics import roc_auc_score

from diptych.metrics import selective_prediction
from diptych.metrics.intervals import bootstrap_interval


def drawn(n: int, shift: float, seed: int):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)) + shift


def test_the_most_confident_predictions_come_first():
    confidence = torch.tensor([0.6, 0.9, 0.8, 0.7])
    correct = torch.tensor([False, True, True, False])
    coverage, risk = selective_prediction.risk_coverage(confidence, correct)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert selective_prediction.area_under_risk_coverage(confidence, correct) == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_the_order_of_equally_confident_predictions_does_not_matter():
    confidence, correct = torch.full((10,), 0.5), torch.arange(10) < 7
    _, risk = selective_prediction.risk_coverage(confidence, correct)
    assert risk.tolist() == pytest.approx([0.3] * 10)
    assert selective_prediction.area_under_risk_coverage(confidence, correct.flip(0)) == pytest.approx(0.3)


def test_auroc_equals_that_of_scikit_learn():
    positives, negatives = drawn(60, 1.0, 0).round(decimals=1), drawn(90, 0.0, 1).round(decimals=1)  # with ties
    targets = torch.cat((torch.ones(60), torch.zeros(90)))
    assert selective_prediction.auroc(positives, negatives) == pytest.approx(
        roc_auc_score(targets, torch.cat((positives, negatives)))
    )


def test_the_auroc_interval_covers_the_true_value_in_95_percent():
    true = float(torch.special.ndtr(torch.tensor(1 / 2**0.5)))
    ends = [selective_prediction.auroc_interval(drawn(80, 1.0, 2 * i), drawn(50, 0.0, 2 * i + 1)) for i in range(200)]
    assert 0.91 <= sum(low <= true <= high for low, high in ends) / 200 <= 0.99


def test_with_perfect_separation_the_interval_is_wilsons_of_the_smaller_group():
    low, high = selective_prediction.auroc_interval(torch.arange(10.0) + 100, torch.arange(30.0))
    assert high == 1
    assert 0.6 < low < 0.8  # Wilson's of 10 in 10
    assert selective_prediction.auroc_interval(torch.ones(1), torch.zeros(1))[0] < 0.5


def test_the_aurc_interval_equals_that_of_resampling_the_score_itself():
    torch.manual_seed(0)
    confidence = torch.rand(400)
    correct = torch.rand(400) < confidence
    score = selective_prediction.area_under_risk_coverage
    expected = bootstrap_interval(lambda rows: score(confidence[rows], correct[rows]), 400)
    assert selective_prediction.aurc_interval(confidence, correct) == pytest.approx(expected, abs=1e-2)  # other draws
