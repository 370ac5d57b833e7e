import pytest
import torch
from sklearn.metrics import roc_auc_score

from diptych.metrics import selective
from diptych.metrics.intervals import bootstrap


def drawn(n: int, shift: float, seed: int):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)) + shift


def test_the_surest_answers_come_first():
    confidence = torch.tensor([0.6, 0.9, 0.8, 0.7])
    right = torch.tensor([False, True, True, False])
    coverage, risk = selective.risk_coverage(confidence, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert selective.area_under_risk_coverage(confidence, right) == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_the_order_of_equally_sure_answers_does_not_matter():
    confidence, right = torch.full((10,), 0.5), torch.arange(10) < 7
    _, risk = selective.risk_coverage(confidence, right)
    assert risk.tolist() == pytest.approx([0.3] * 10)
    assert selective.area_under_risk_coverage(confidence, right.flip(0)) == pytest.approx(0.3)


def test_auroc_is_that_of_scikit_learn():
    known, unknown = drawn(60, 1.0, 0).round(decimals=1), drawn(90, 0.0, 1).round(decimals=1)  # with ties
    truth = torch.cat((torch.ones(60), torch.zeros(90)))
    assert selective.auroc(known, unknown) == pytest.approx(roc_auc_score(truth, torch.cat((known, unknown))))


def test_its_interval_holds_the_true_value_as_often_as_it_says():
    true = float(torch.special.ndtr(torch.tensor(1 / 2**0.5)))
    ends = [selective.auroc_interval(drawn(80, 1.0, 2 * i), drawn(50, 0.0, 2 * i + 1)) for i in range(200)]
    assert 0.91 <= sum(low <= true <= high for low, high in ends) / 200 <= 0.99


def test_where_nothing_is_confused_the_interval_is_that_of_as_many_pictures():
    low, high = selective.auroc_interval(torch.arange(10.0) + 100, torch.arange(30.0))
    assert high == 1
    assert 0.6 < low < 0.8  # Wilson's of 10 in 10
    assert selective.auroc_interval(torch.ones(1), torch.zeros(1))[0] < 0.5


def test_the_interval_of_the_area_is_that_of_resampling_the_score_itself():
    torch.manual_seed(0)
    confidence = torch.rand(400)
    right = torch.rand(400) < confidence
    score = selective.area_under_risk_coverage
    expected = bootstrap(lambda rows: score(confidence[rows], right[rows]), 400)
    assert selective.aurc_interval(confidence, right) == pytest.approx(expected, abs=1e-2)  # other draws
