"""The lower bound of ε from canaries: the paper's formula, and that it stays under ε where guesses are that good."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from diptych.metrics.canaries import epsilon_lower_bound, guess_p_value


def test_the_p_value_without_delta_is_the_binomial_tail():
    assert guess_p_value(44, 50, 100, 1.0) == pytest.approx(binom.sf(43, 50, 1 / (1 + math.exp(-1))))


def test_delta_adds_what_the_paper_says():
    q, correct, guesses, m, delta = 1 / (1 + math.exp(-1)), 30, 40, 100, 1e-3
    masses = np.cumsum([binom.pmf(correct - i, guesses, q) for i in range(1, correct + 1)])
    alpha = max(mass / i for i, mass in enumerate(masses, 1))
    expected = binom.sf(correct - 1, guesses, q) + 2 * m * delta * alpha
    assert guess_p_value(correct, guesses, m, 1.0, delta) == pytest.approx(expected)


def test_the_bound_is_where_the_tail_is_five_percent():
    bound = epsilon_lower_bound(44, 50, 100)
    assert guess_p_value(44, 50, 100, bound) == pytest.approx(0.05, abs=1e-3)
    assert epsilon_lower_bound(50, 50, 100) == pytest.approx(-math.log(0.05 ** (-1 / 50) - 1), abs=1e-3)
    assert epsilon_lower_bound(44, 50, 100, 1e-2) < bound


@pytest.mark.parametrize("correct", [0, 20, 25, 30])
def test_guesses_about_as_good_as_a_coin_bound_nothing(correct):
    assert epsilon_lower_bound(correct, 50, 100) == 0


def test_randomised_response_is_seldom_above_its_own_epsilon():
    """The mechanism of which the bound is tight: each coin is told rightly with probability e^ε / (1 + e^ε)."""
    correct = np.random.default_rng(0).binomial(100, 1 / (1 + math.exp(-1.0)), 400)
    broken = np.mean([epsilon_lower_bound(int(k), 100, 100) > 1.0 for k in correct])
    assert broken <= 0.05 + 0.03
