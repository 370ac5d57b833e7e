"""Section 15 of docs/mathematics.md, whether synthetic data helps, against direct loops and closed forms."""

import numpy as np
import pytest

from diptych.interplay.verdict.generated import allocation
from diptych.interplay.verdict.learning_curve import power_law
from diptych.interplay.verdict.paired_bootstrap import PairedBootstrap

RNG = np.random.default_rng(0)
TARGETS = np.array([0] * 7 + [1] * 4 + [2] * 9)
OURS, BASELINE = RNG.random((3, 20)) < 0.8, RNG.random((3, 20)) < 0.6


def weighted_gain(seed_draws: list[int], picture_draws: dict[int, list[int]]) -> float:
    """The gain of these draws of seeds, and of pictures of each class, one pair after the other."""
    recalls = []
    for pictures in picture_draws.values():
        differences = [float(OURS[s, i]) - float(BASELINE[s, i]) for s in seed_draws for i in pictures]
        recalls.append(sum(differences) / len(differences))
    return sum(recalls) / len(recalls)


def rows_of_classes() -> dict[int, list[int]]:
    return {label: np.flatnonzero(label == TARGETS).tolist() for label in (0, 1, 2)}


def test_the_gain_by_loops() -> None:
    expected = weighted_gain([0, 1, 2], rows_of_classes())
    assert PairedBootstrap(TARGETS, 3).gain(OURS, BASELINE).value == pytest.approx(expected, abs=1e-6)


def test_the_bootstrap_by_drawing_rows() -> None:
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(4000):
        drawn = {label: rng.choice(rows, len(rows)).tolist() for label, rows in rows_of_classes().items()}
        gains.append(weighted_gain(rng.integers(0, 3, 3).tolist(), drawn))
    gain = PairedBootstrap(TARGETS, 3, rounds=20_000).gain(OURS, BASELINE)
    assert (gain.low, gain.high) == pytest.approx(np.percentile(gains, [2.5, 97.5]), abs=0.02)


def test_the_bootstrap_has_the_variance_of_both_draws() -> None:
    """Of a value that is the sum of a seed's and a picture's own: their variances divided by their numbers add up."""
    seeds, pictures = RNG.normal(size=(6, 1)), RNG.normal(size=(1, 400))
    values = (seeds + pictures).astype(np.float32)
    _, resampled = PairedBootstrap(np.zeros(400, np.int64), 6, rounds=20_000).recalls(values)
    assert resampled.var() == pytest.approx(seeds.var() / 6 + pictures.var() / 400, rel=0.05)


def test_the_power_law_is_the_line_through_the_logarithms() -> None:
    counts, errors = np.array([50.0, 100, 200, 400]), np.array([0.4, 0.33, 0.2, 0.17])
    slope, intercept = np.polyfit(np.log(counts), np.log(errors), 1)
    exponent, now, then = power_law(counts, errors[None])
    assert exponent[0] == pytest.approx(-slope)
    assert now[0] == pytest.approx(np.exp(intercept) * 400**slope)
    assert now[0] - then[0] == pytest.approx(now[0] * (1 - 2 ** -exponent[0]))


def test_a_weight_counts_as_so_many_points() -> None:
    counts, errors = np.array([50.0, 100, 200]), np.array([[0.4, 0.33, 0.2]])
    weighted = power_law(counts, errors, np.array([[2.0, 1, 3]]))
    repeated = power_law(counts.repeat([2, 1, 3]), errors.repeat([2, 1, 3], axis=1))
    assert np.concatenate(weighted) == pytest.approx(np.concatenate(repeated))


def test_the_level_of_the_classes_by_search() -> None:
    real = np.array([40, 3, 17, 80, 3])
    for total in (1, 20, 60, 500):
        level = next(level for level in range(1000) if np.maximum(0, level - real).sum() >= total)
        counts = allocation(real, total, np.ones(5, bool))
        assert counts.sum() == total
        assert (np.abs(counts - np.maximum(0, level - real)) <= 1).all()
