"""The power law through the errors, and what it expects of twice as many pictures."""

import numpy as np
import pytest

from diptych.interplay.verdict.learning_curve import fit_curve, power_law
from diptych.interplay.verdict.paired_bootstrap import PairedBootstrap

PICTURES = [100, 200, 400, 800]
TARGETS = np.repeat([0, 1], 800)


def models(error, seed):
    return np.random.default_rng(seed).random((5, len(TARGETS))) >= error


def test_an_exact_power_law_is_recovered():
    counts = np.array(PICTURES, float)
    exponent, now, then = power_law(counts, (3 * counts**-0.5)[None])
    assert exponent[0] == pytest.approx(0.5)
    assert now[0] == pytest.approx(3 * 800**-0.5)
    assert then[0] == pytest.approx(3 * 1600**-0.5)


def test_an_error_that_grows_is_never_expected_beyond_one():
    _, _, then = power_law(np.array(PICTURES, float), np.array([[0.2, 0.4, 0.7, 0.99]]))
    assert then[0] == 1


def test_the_interval_holds_what_twice_as_many_pictures_would_bring():
    curve = fit_curve(PairedBootstrap(TARGETS, 5), PICTURES, [models(2 * n**-0.4, i) for i, n in enumerate(PICTURES)])
    expected = 2 * 800**-0.4 - 2 * 1600**-0.4
    assert curve.gain.low < expected < curve.gain.high
    assert curve.gain.high - curve.gain.low < 0.05
    assert curve.exponent.low < 0.4 < curve.exponent.high
    assert curve.doubled.value == pytest.approx(1 - 2 * 1600**-0.4, abs=0.03)
    assert [accuracy.value for accuracy in curve.accuracies] == sorted(a.value for a in curve.accuracies)


def test_a_flat_curve_promises_nothing():
    curve = fit_curve(PairedBootstrap(TARGETS, 5), PICTURES, [models(0.2, seed) for seed in range(4)])
    assert curve.gain.low < 0 < curve.gain.high


def test_models_without_an_error_are_no_failure():
    curve = fit_curve(PairedBootstrap(TARGETS, 5), PICTURES, [models(0.0, seed) for seed in range(4)])
    assert curve.gain.value == pytest.approx(0)
