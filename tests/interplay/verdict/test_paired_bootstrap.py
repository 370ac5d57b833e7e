"""The paired bootstrap over test pictures and seeds."""

import numpy as np
import pytest

from diptych.interplay.verdict.paired_bootstrap import PairedBootstrap

TARGETS = np.repeat([0, 1, 3], [300, 150, 50])  # class 2 has no test pictures


def models(shares, seed, seeds=5):
    """(S, N) whether models are right, with this share in each class."""
    rng = np.random.default_rng(seed)
    return rng.random((seeds, len(TARGETS))) < np.asarray(shares)[TARGETS]


def test_the_value_is_the_difference_of_the_mean_recalls():
    ours, baseline = models([0.9, 0.8, 0, 0.7], 1), models([0.8, 0.8, 0, 0.5], 2)
    gain = PairedBootstrap(TARGETS, 5).gain(ours, baseline)
    recalls = [[m[:, label == TARGETS].mean() for label in (0, 1, 3)] for m in (ours, baseline)]
    assert gain.value == pytest.approx(np.mean(recalls[0]) - np.mean(recalls[1]), abs=1e-6)
    assert gain.low < gain.value < gain.high


def test_a_model_has_no_gain_over_itself():
    correct = models([0.9, 0.8, 0, 0.7], 1)
    gain = PairedBootstrap(TARGETS, 5).gain(correct, correct)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_errors_in_common_make_the_interval_narrower_since_pairs_are_compared():
    baseline = np.repeat(models([0.7, 0.7, 0, 0.7], 3, seeds=1), 5, axis=0)
    ours = baseline.copy()
    ours[:, ::7] = True  # right in some more
    bootstrap = PairedBootstrap(TARGETS, 5)
    other = np.repeat(models([0.7, 0.7, 0, 0.7], 4, seeds=1), 5, axis=0)
    paired, unpaired = bootstrap.gain(ours, baseline), bootstrap.gain(other, baseline)
    assert paired.low > 0
    assert paired.high - paired.low < 0.4 * (unpaired.high - unpaired.low)


def test_seeds_that_disagree_make_it_wider():
    steady = models([0.8, 0.8, 0, 0.8], 5)
    moody = steady.copy()
    moody[:2] = False  # two of five trainings failed
    bootstrap = PairedBootstrap(TARGETS, 5)
    alike, apart = bootstrap.balanced_accuracy(steady), bootstrap.balanced_accuracy(moody)
    assert apart.high - apart.low > 3 * (alike.high - alike.low)


def test_where_nothing_differs_but_by_chance_the_interval_holds_zero_in_most_cases():
    bootstrap = PairedBootstrap(TARGETS, 5, rounds=500)
    gains = [bootstrap.gain(models([0.8] * 4, 2 * i), models([0.8] * 4, 2 * i + 1)) for i in range(60)]
    assert sum(gain.low > 0 for gain in gains) <= 3


def test_the_gain_of_each_class():
    ours, baseline = models([0.9, 0.8, 0, 0.2], 1), models([0.9, 0.6, 0, 0.9], 2)
    first, second, last = PairedBootstrap(TARGETS, 5).class_gains(ours, baseline)
    assert first.low < 0 < first.high
    assert second.low > 0
    assert last.high < -0.02
