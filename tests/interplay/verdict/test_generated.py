"""How many generated pictures each class gets."""

import numpy as np
import pytest

from diptych.interplay.verdict.generated import allocation

ALL = np.ones(3, bool)


@pytest.mark.parametrize(
    ("real", "total", "expected"),
    [
        ([10, 10, 10], 30, [10, 10, 10]),
        ([10, 10, 10], 31, [11, 10, 10]),
        ([50, 5, 50], 30, [0, 30, 0]),  # the scarcest first
        ([50, 5, 50], 150, [35, 80, 35]),  # then all to one level
        ([50, 5, 20], 15, [0, 15, 0]),
        ([50, 5, 20], 25, [0, 20, 5]),
        ([50, 5, 20], 0, [0, 0, 0]),
    ],
)
def test_the_scarcest_classes_are_filled_first(real, total, expected):
    assert allocation(np.array(real), total, ALL).tolist() == expected


def test_a_larger_total_includes_a_smaller_one_and_nothing_is_lost():
    rng = np.random.default_rng(0)
    for _ in range(50):
        real = rng.integers(1, 40, 5)
        available = np.array([True, *(rng.random(4) < 0.7)])
        before = np.zeros(5, np.int64)
        for total in (3, 10, 40, 200):
            counts = allocation(real, total, available)
            assert counts.sum() == total
            assert (counts[~available] == 0).all()
            assert (counts >= before - 1).all()  # but for the one that a rest is
            before = counts
