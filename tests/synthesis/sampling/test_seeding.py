import numpy as np
import torch

from diptych.synthesis.sampling import seeding


def test_every_row_goes_once_to_its_own_place():
    seeds = [5, 6, 7, 21, 5, 100]
    all_rows = []
    for rows, places in seeding.batch_places(seeds, 16):
        assert len(set(places.tolist())) == len(places) <= 16
        assert places.tolist() == [seeds[row] % 16 for row in rows]
        all_rows += rows.tolist()
    assert sorted(all_rows) == list(range(6))


def test_noise_depends_on_the_seed_only():
    together = seeding.seeded_noise([3, 4, 5], (7,))
    assert torch.equal(seeding.seeded_noise([5], (7,))[0], together[2])
    assert not torch.equal(together[0], together[1])


def test_labels_depend_on_the_seed_only_and_follow_the_shares():
    shares = [0.7, 0.0, 0.3]
    labels = seeding.seeded_labels(range(2000), shares)
    assert labels[1234] == seeding.seeded_labels([1234], shares)[0]
    counts = np.bincount(labels, minlength=3) / 2000
    np.testing.assert_allclose(counts, shares, atol=0.04)
    assert counts[1] == 0
