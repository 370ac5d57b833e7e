from itertools import chain

import numpy as np
import pytest

from diptych.data import duplicates
from diptych.data.images import Images
from diptych.errors import UsageError


def scenes(n, seed=0, size=32):
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), np.uint8)
    return coarse.repeat(size // 8, 1).repeat(size // 8, 2)


def rows(parts):
    return [sorted(int(path.split("#")[1]) for path in part.paths) for part in parts]


def test_shares_hold_in_every_class():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    images = Images.from_arrays(scenes(160), labels)
    train, test = images.split(0.8, 0.2)
    assert train.counts() == {"0": 80, "1": 40, "2": 8}
    assert test.counts() == {"0": 20, "1": 10, "2": 2}
    assert sorted(chain(*rows((train, test)))) == list(range(160))


def test_three_parts_and_a_rest():
    images = Images.from_arrays(scenes(200), [0, 1] * 100)
    parts = images.split(0.5, 0.25, 0.05)
    assert [len(part) for part in parts] == [100, 50, 10]
    assert len(set(chain(*rows(parts)))) == sum(map(len, parts))


def test_the_seed_determines_the_split():
    images = Images.from_arrays(scenes(60), [0, 1, 2] * 20)
    assert rows(images.split(0.7, 0.3, seed=4)) == rows(images[:].split(0.7, 0.3, seed=4))
    assert rows(images.split(0.7, 0.3, seed=4)) != rows(images.split(0.7, 0.3, seed=5))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_small_class_is_in_both_parts(count):
    images = Images.from_arrays(scenes(40 + count), [0] * 40 + [1] * count)
    for seed in range(5):
        train, test = images.split(0.9, 0.1, seed=seed)
        assert train.counts()["1"] >= 1
        assert test.counts()["1"] >= 1


def test_a_class_of_one_picture_is_in_the_larger_part_with_a_warning(caplog):
    images = Images.from_arrays(scenes(41), [0] * 40 + [1])
    train, test = images.split(0.8, 0.2)
    assert (train.counts()["1"], test.counts()["1"]) == (1, 0)
    assert "Only one picture in 1" in caplog.text


def test_near_duplicates_stay_in_one_part():
    pixels = scenes(60)
    noise = np.random.default_rng(1).integers(-3, 4, pixels[:30].shape)
    copies = np.clip(pixels[:30].astype(int) + noise, 0, 255).astype(np.uint8)
    images = Images.from_arrays(np.concatenate([pixels, copies, pixels[:10]]), [0, 1] * 50)
    cluster = duplicates.duplicate_clusters(images)
    assert len(np.unique(cluster)) == 60
    for seed in range(5):
        first, second = rows(images.split(0.7, 0.3, seed=seed))
        assert not set(cluster[first]) & set(cluster[second])
        assert 65 <= len(first) <= 75


def test_a_class_of_look_alikes_is_still_in_both_parts(caplog):
    base = scenes(2)
    noise = np.random.default_rng(2).integers(0, 4, (40, 32, 32, 3))
    pixels = (np.repeat(base, 20, 0) // 2 + noise).astype(np.uint8)
    images = Images.from_arrays(pixels, np.repeat([0, 1], 20))
    train, test = images.split(0.8, 0.2)
    assert test.counts() == {"0": 4, "1": 4}
    assert train.counts() == {"0": 16, "1": 16}
    assert "look so alike" in caplog.text


def test_a_multi_label_split_is_balanced():
    rng = np.random.default_rng(3)
    labels = rng.random((300, 6)) < (0.02, 0.05, 0.1, 0.3, 0.5, 0.7)
    images = Images.from_arrays(scenes(300), labels)
    _, test = images.split(0.75, 0.25)
    assert abs(len(test) - 75) <= 6
    for total, part in zip(labels.sum(0), test.labels.sum(0), strict=True):
        assert abs(part - total / 4) <= 2
        assert part >= 1


def test_unlabelled_pictures_are_split_too(caplog):
    train, test = Images.from_arrays(scenes(50)).split(0.8, 0.2)
    assert (len(train), len(test)) == (40, 10)
    assert not caplog.text


def test_unreadable_pictures_do_not_stop_a_split(class_folders):
    (class_folders / "cat" / "1.png").write_bytes(b"")
    assert sum(map(len, Images.open(class_folders).split(0.5, 0.5))) == 12


@pytest.mark.parametrize("shares", [(), (0.8, 0.3), (1.0, 0.0), (-0.5, 0.5)])
def test_shares_out_of_range_are_refused(shares):
    with pytest.raises(UsageError, match="above 0 and together at most 1"):
        Images.from_arrays(scenes(4)).split(*shares)


def test_all_in_one_part():
    assert rows(Images.from_arrays(scenes(7)).split(1.0)) == [list(range(7))]
