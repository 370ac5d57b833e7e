import pytest
import torch
from scipy.stats import binomtest

from diptych.metrics.intervals import (
    bootstrap_interval,
    clopper_pearson_interval,
    difference_interval,
    wilson_interval,
)


def test_wilson_of_a_known_case():
    # 81 of 263: the worked example of Newcombe (1998), table I.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (0, 0), (1, 1)])
def test_wilson_stays_within_0_and_1_and_covers_the_share(hits, n):
    low, high = wilson_interval(hits, n)
    assert 0 <= low <= (hits / n if n else 0.5) <= high <= 1
    assert high > low


def test_bootstrap_is_seeded_and_covers_the_mean():
    values = torch.arange(100, dtype=torch.float64) / 100

    def mean(rows):
        return float(values[rows].mean())

    low, high = bootstrap_interval(mean, 100, seed=1)
    assert (low, high) == bootstrap_interval(mean, 100, seed=1)
    assert (low, high) != bootstrap_interval(mean, 100, seed=2)
    # The standard error of the mean is 0.0289: the interval's width should be about 4 of them.
    assert low < 0.495 < high
    assert 0.09 < high - low < 0.14


def test_a_score_that_noise_inflates_lies_within_its_interval():
    values = torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def size(rows):  # of a mean whose true value is 0: resampling doubles its variance
        return float(values[rows].mean().abs())

    low, high = bootstrap_interval(size, 60, seed=0)
    assert low < size(torch.arange(60)) < high


def test_an_interval_has_its_score_inside_and_leaves_no_bounds():
    rare = torch.zeros(30, dtype=torch.float64)
    rare[0] = 1

    def lost(rows):  # 1, but 0 in a third of the resamples, which lack the one row of its class
        return float(rare[rows].max())

    low, high = bootstrap_interval(lost, 30)
    assert 0 <= low < high == 1
    low, high = bootstrap_interval(lambda rows: 1 - lost(rows), 30)
    assert 0 == low < high <= 1
    low, high = bootstrap_interval(lambda rows: 1 - 2 * lost(rows), 30, bounds=(-1, 1))
    assert -1 == low < high <= 1


def test_the_difference_of_known_shares():
    # Newcombe 1998, "Interval estimation for the difference between independent proportions", table II, method 10.
    assert difference_interval(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference_interval(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert difference_interval(10, 10, 0, 20) == pytest.approx((0.6791, 1.0), abs=5e-5)


@pytest.mark.parametrize(("hits", "n"), [(0, 30), (30, 30), (1, 200), (7, 20)])
def test_the_exact_interval_is_scipys(hits, n):
    expected = binomtest(hits, n).proportion_ci(0.9, method="exact")
    assert clopper_pearson_interval(hits, n, 0.9) == pytest.approx((expected.low, expected.high))
    assert clopper_pearson_interval(0, 0) == (0.0, 1.0)
