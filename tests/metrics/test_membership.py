"""Membership inference as pure functions: exact thresholds, rates that chance explains, and RMIA's ratio."""

import numpy as np
import pytest

from diptych.metrics.membership import (
    attack_curve,
    attack_rates,
    log_relative_probability,
    relative_log_odds,
    threshold_at,
)

DRAW = np.random.default_rng(0)


def test_the_ratio_is_that_of_the_probability_to_the_mean_of_the_references():
    target, references = np.log([0.9, 0.5]), np.log([[0.6, 0.5], [0.2, 0.5]])
    assert np.exp(log_relative_probability(target, references)) == pytest.approx([0.9 / 0.4, 1.0])


def test_ratios_of_tiny_probabilities_stay_finite():
    ratio = log_relative_probability(np.array([-1000.0]), np.array([[-1000.0], [-2000.0]]))
    assert ratio == pytest.approx([np.log(2)])


def test_log_odds_tell_what_is_known_by_heart_from_what_is_likely():
    target, references = np.log([0.9999, 0.9]), np.log([[0.9, 0.9]])
    assert relative_log_odds(target, references) == pytest.approx([np.log(0.9999 / 1e-4) - np.log(9), 0])
    assert np.isfinite(relative_log_odds(np.zeros(1), references[:, :1])).all()


@pytest.mark.parametrize(("n", "allowed", "rank"), [(99, 0.01, 1), (199, 0.01, 2), (50, 0.01, 1), (999, 0.001, 1)])
def test_the_threshold_is_exceeded_by_one_more_with_the_allowed_probability(n, allowed, rank):
    assert threshold_at(np.arange(n, dtype=float), allowed) == n - rank


def test_equal_scores_raise_no_alarm_in_nearly_all_draws():
    alarms = 0
    for _ in range(200):
        members, calibration, others = (DRAW.standard_normal(n) for n in (300, 100, 100))
        alarms += attack_rates(members, calibration, others, 0.01).leaks
    assert alarms <= 4


def test_scores_that_are_higher_for_some_members_raise_one():
    members = np.concatenate([DRAW.standard_normal(270), np.full(30, 10.0)])
    rates = attack_rates(members, DRAW.standard_normal(100), DRAW.standard_normal(100), 0.01)
    assert rates.leaks
    assert rates.hits >= 30
    low, high = rates.true_positive_interval
    assert low < rates.hits / 300 < high
    assert not attack_rates(members[:240], DRAW.standard_normal(100), DRAW.standard_normal(100), 0.01).leaks


def test_the_curve_goes_from_the_surest_score_to_everything():
    false_rates, true_rates = attack_curve(np.array([3.0, 1.0]), np.array([2.0, 0.0]))
    assert false_rates.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert true_rates.tolist() == [0.5, 0.5, 1.0, 1.0]
