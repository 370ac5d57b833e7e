"""Two shares compared within strata."""

import numpy as np
import pytest

from diptych.metrics.stratified import stratified_difference


def counts(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_of_one_stratum_it_is_the_difference_of_the_shares():
    result = stratified_difference(counts(90), counts(100), counts(40), counts(80))
    assert result.value == pytest.approx(0.4)
    assert result.low < 0.4 < result.high
    assert result.p < 1e-6


def test_a_difference_between_strata_alone_is_none():
    result = stratified_difference(counts(90, 10), counts(100, 20), counts(18, 50), counts(20, 100))
    assert result.value == pytest.approx(0)
    assert result.p > 0.4


def test_strata_without_pictures_on_a_side_say_nothing():
    nothing = stratified_difference(counts(5, 0), counts(5, 0), counts(0, 3), counts(0, 9))
    assert nothing == (0.0, -1.0, 1.0, 1.0)
    one = stratified_difference(counts(9, 5), counts(10, 5), counts(4, 0), counts(10, 0))
    assert one.value == pytest.approx(0.5)


def test_equal_shares_are_rarely_different_and_the_interval_covers_the_truth():
    draw = np.random.default_rng(0)
    n, other = np.array([40, 60]), np.array([20, 80])
    results = [
        stratified_difference(draw.binomial(n, (0.9, 0.6)), n, draw.binomial(other, (0.9, 0.6)), other)
        for _ in range(400)
    ]
    assert np.mean([result.p < 0.05 for result in results]) <= 0.07
    assert 0.91 <= np.mean([result.low <= 0 <= result.high for result in results]) <= 0.985
