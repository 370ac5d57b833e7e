"""The two accountants, and the noise that keeps to an epsilon by both."""

import pytest

from diptych.engine.privacy.accounting import epsilon_pld, epsilon_prv, noise_multiplier_for

DELTA = 1e-5


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(1, 0.2, 20), (8, 1.0, 30)])
def test_the_accountants_agree_within_two_percent_and_the_noise_is_the_smallest_that_both_allow(epsilon, rate, steps):
    noise = noise_multiplier_for(epsilon, DELTA, rate, steps)
    prv, pld = (accountant(noise, rate, steps, DELTA) for accountant in (epsilon_prv, epsilon_pld))
    assert prv == pytest.approx(pld, rel=0.02)
    assert 0.99 * epsilon <= max(prv, pld) <= epsilon
    assert epsilon_prv(0.98 * noise, rate, steps, DELTA) > epsilon


def test_one_step_on_all_pictures_is_the_gaussian_mechanism():
    # Balle & Wang 2018, theorem 8: 1-private at δ = 1e-5 takes a noise of 3.730.
    for accountant in (epsilon_prv, epsilon_pld):
        assert accountant(3.7304, 1.0, 1, DELTA) == pytest.approx(1.0, rel=0.01)
