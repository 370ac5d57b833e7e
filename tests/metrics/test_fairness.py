"""Equalised odds, one class against the rest, beside another implementation."""

import numpy as np
import pytest

from diptych.metrics.fairness import equalised_odds_gap, odds


def test_the_gap_is_fairlearns():
    from fairlearn.metrics import equalized_odds_difference

    draw = np.random.default_rng(0)
    targets, predicted, groups = (draw.integers(0, k, 300) for k in (3, 3, 4))
    for label in range(3):
        expected = equalized_odds_difference(targets == label, predicted == label, sensitive_features=groups)
        assert equalised_odds_gap(targets, predicted, groups, label, 4) == pytest.approx(expected)


def test_rates_are_undefined_without_pictures_and_do_not_count():
    targets, predicted, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    positive, negative = odds(targets, predicted, groups, 0, 2)
    assert positive.tolist()[0] == 0.5
    assert np.isnan(positive[1])
    assert np.isnan(negative[0])
    assert equalised_odds_gap(targets, predicted, groups, 0, 2) is None


def test_small_groups_are_left_out():
    targets = np.zeros(21, np.int64)
    predicted = np.repeat([0, 0, 1], [10, 10, 1])
    groups = np.repeat([0, 1, 2], [10, 10, 1])
    assert equalised_odds_gap(targets, predicted, groups, 0, 3) == 1
    assert equalised_odds_gap(targets, predicted, groups, 0, 3, least=2) == 0
