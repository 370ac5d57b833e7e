"""Verification scores against values computed by hand and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from diptych.metrics.verification import (
    ErrorRates,
    Pairs,
    equal_error_interval,
    false_accept_rate,
    far_interval,
    tar_interval,
)


def pairs(genuine: list[float], impostor: list[float], things: int = 2) -> Pairs:
    """Pairs whose things take turns."""
    mine = torch.arange(len(genuine)) % things
    first = torch.arange(len(impostor)) % things
    return Pairs(torch.tensor(genuine), mine, torch.tensor(impostor), torch.stack([first, (first + 1) % things], 1))


def test_rates_of_a_few_pairs() -> None:
    rates = ErrorRates.of(pairs([0.9, 0.8, 0.4], [0.7, 0.3, 0.2, 0.1]))
    assert rates.at_far(0.0) == (pytest.approx(0.75), pytest.approx(2 / 3))
    assert rates.at_far(0.25) == (pytest.approx(0.35), 1.0)
    assert rates.equal_error_rate() == pytest.approx((0.25 + 1 / 3) / 2)


def test_no_threshold_keeps_a_rate_that_even_the_nearest_impostor_breaks() -> None:
    rates = ErrorRates.of(pairs([0.5], [0.9, 0.1]))
    assert rates.at_far(0.1) == (float("inf"), 0.0)


def test_rates_equal_those_of_a_roc_curve() -> None:
    draw = np.random.default_rng(0)
    genuine, impostor = draw.normal(1, 1, 200).round(1), draw.normal(0, 1, 300).round(1)  # with ties
    rates = ErrorRates.of(pairs(genuine.tolist(), impostor.tolist()))
    targets = np.r_[np.ones(200), np.zeros(300)]
    far, tar, thresholds = roc_curve(targets, np.r_[genuine, impostor], drop_intermediate=False)
    np.testing.assert_allclose(rates.far, far[1:])
    np.testing.assert_allclose(rates.tar, tar[1:])
    np.testing.assert_allclose(rates.thresholds, thresholds[1:], rtol=1e-6)


def test_intervals_hold_their_values() -> None:
    draw = np.random.default_rng(1)
    genuine, impostor = draw.normal(1, 1, 400).tolist(), draw.normal(0, 1, 400).tolist()
    for things in (5, 50):
        sample = pairs(genuine, impostor, things)
        rates = ErrorRates.of(sample)
        threshold, tar = rates.at_far(0.1)
        low, high = tar_interval(sample, 0.1)
        assert low <= tar <= high
        low, high = equal_error_interval(sample)
        assert low <= rates.equal_error_rate() <= high
        assert low < high
        far = false_accept_rate(sample, threshold)
        low, high = far_interval(sample, threshold)
        assert low <= far <= high
