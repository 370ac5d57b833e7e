"""What the arms learn from."""

import numpy as np

from diptych.interplay.verdict.arms import balanced_rows, subset_rows

LABELS = np.array([0] * 16 + [1] * 8 + [2] * 3)


def test_drawn_evenly_every_class_is_as_frequent_and_every_picture_is_used():
    rows = balanced_rows(LABELS)
    assert np.bincount(LABELS[rows]).tolist() == [16, 16, 16]
    assert set(rows) == set(range(len(LABELS)))
    assert np.bincount(rows)[24:].max() - np.bincount(rows)[24:].min() <= 1  # repeated in turn


def test_smaller_shares_of_a_seed_lie_in_larger_ones_and_have_every_class():
    eighth, half = (subset_rows(LABELS, share, seed=4) for share in (1 / 8, 1 / 2))
    assert np.bincount(LABELS[eighth]).tolist() == [2, 1, 1]
    assert np.bincount(LABELS[half]).tolist() == [8, 4, 2]
    assert set(eighth) <= set(half)
    assert set(half) != set(subset_rows(LABELS, 1 / 2, seed=5))
