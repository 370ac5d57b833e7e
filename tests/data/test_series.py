import numpy as np

from diptych import Images
from diptych.data.series import series_of
from diptych.data.splits import folds_of, split


def shots(things, each, seed=0, width=64, noise=0.3, names=None):
    """Pictures, and features: of every thing so many shots, which differ little."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(things, width))
    owner = np.repeat(np.arange(things), each)
    features = centres[owner] + noise * draw.normal(size=(len(owner), width))
    pixels = draw.integers(0, 256, (len(owner), 8, 8, 3)).astype(np.uint8)
    paths = names or [f"shot_{i:03}.jpg" for i in range(len(owner))]
    images = Images.from_arrays(pixels, owner % 2, classes=("a", "b"), paths=paths)
    return images, features.astype(np.float32), owner


def together(series, owner):
    return all(len(np.unique(series[owner == thing])) == 1 for thing in np.unique(owner))


def test_shots_of_a_thing_are_a_series_and_other_things_are_not():
    images, features, owner = shots(20, 4)
    series = series_of(images.paths, images.labels, features)
    assert together(series, owner)
    assert len(np.unique(series)) == 20


def test_other_names_or_classes_are_other_series():
    images, features, owner = shots(20, 4, names=[f"{'xy'[i % 2]}{i}.jpg" for i in range(80)])
    series = series_of(images.paths, images.labels, features)
    assert all(len(np.unique(series[owner == thing])) == 2 for thing in range(20))
    relabelled = Images.from_arrays(images.pixels(8).permute(0, 2, 3, 1).numpy(), np.arange(80) % 2, paths=images.paths)
    assert len(np.unique(series_of(relabelled.paths, relabelled.labels, features))) == 40


def test_where_all_pictures_of_a_class_are_alike_they_are_no_series():
    draw = np.random.default_rng(0)
    images, _, _ = shots(10, 6)
    centres = draw.normal(size=(2, 64))
    features = (centres[images.labels] + 0.05 * draw.normal(size=(60, 64))).astype(np.float32)
    sizes = np.bincount(series_of(images.paths, images.labels, features))
    assert sizes.max() <= 15


def test_a_series_is_on_one_side_of_a_split_and_of_every_fold():
    images, _, owner = shots(20, 4)
    for rows in (*split(images, (0.8, 0.2), 0, owner), *folds_of(images, 5, 0, owner)):
        inside = np.unique(owner[rows])
        assert set(np.flatnonzero(np.isin(owner, inside))) == set(rows.tolist())
    folds = folds_of(images, 5, 0, owner)
    assert sorted(np.concatenate(folds).tolist()) == list(range(80))
