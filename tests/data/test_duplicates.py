import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from diptych.data import duplicates
from diptych.data.images import Images


def recoded(picture, **options):
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return Image.open(out)


@pytest.fixture
def copies(tmp_path, scene):
    """Twenty scenes, and copies of five of them."""
    originals = [scene(i, 96, 80) for i in range(20)]
    copies = {
        "0-copy": originals[0],
        "1-quality-30": recoded(originals[1], quality=30),
        "2-half-size": originals[2].resize((48, 40)),
        "3-larger": originals[3].resize((200, 170)),
        "4-brighter": originals[4].point(lambda value: min(255, value + 4)),
    }
    for i, picture in enumerate(originals):
        picture.save(tmp_path / f"{i}.png")
    for name, picture in copies.items():
        picture.save(tmp_path / f"{name}.png")
    return Images.open(tmp_path)


def names(images, pairs):
    return {tuple(sorted(str(images.paths[i]).rsplit("/")[-1].split(".")[0] for i in pair)) for pair in pairs}


def test_copies_are_found_and_nothing_else(copies):
    expected = {("0", "0-copy"), ("1", "1-quality-30"), ("2", "2-half-size"), ("3", "3-larger"), ("4", "4-brighter")}
    assert names(copies, duplicates.duplicate_pairs(copies)) == expected
    digests = duplicates.content_digests(copies)
    exact = [pair for pair in duplicates.duplicate_pairs(copies).tolist() if digests[pair[0]] == digests[pair[1]]]
    assert names(copies, exact) == {("0", "0-copy")}


def test_clusters_follow_chains(copies):
    cluster = duplicates.duplicate_clusters(copies)
    assert len(np.unique(cluster)) == 20
    assert (np.bincount(cluster)[cluster] == 2).sum() == 10


def test_copies_are_found_as_well_in_a_set_that_streams(copies, monkeypatch):
    expected = duplicates.duplicate_pairs(copies).tolist()
    monkeypatch.setattr("diptych.resources.free_memory_bytes", lambda: 0)
    assert duplicates.duplicate_pairs(copies[:]).tolist() == expected


def test_the_same_shape_in_another_colour_is_another_picture():
    shape = np.zeros((2, 40, 40, 3), np.uint8)
    shape[0, 8:30, 10:25] = (220, 30, 30)
    shape[1, 8:30, 10:25] = (30, 30, 220)
    assert len(duplicates.duplicate_pairs(Images.from_arrays(shape))) == 0


def test_different_digits_are_not_near_duplicates():
    assert len(duplicates.duplicate_pairs(Images.open("digits"))) < 5


def test_unreadable_pictures_are_no_copies(tmp_path, scene):
    scene(0).save(tmp_path / "a.png")
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes(b"")
    images = Images.open(tmp_path)
    assert len(duplicates.duplicate_pairs(images)) == 0
    assert duplicates.content_digests(images)[1:].tolist() == [0, 0]
    assert len(set(duplicates.duplicate_clusters(images).tolist())) == 3


def test_the_search_finds_what_comparing_all_pairs_finds():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**63, 400, np.uint64)
    for i in range(100):  # a hundred codes with 0 to 9 bits flipped
        bits = rng.choice(64, i % 10, replace=False).astype(np.uint64)
        codes[300 + i] = codes[i] ^ np.bitwise_or.reduce(np.uint64(1) << bits, initial=np.uint64(0))
    distance = np.bitwise_count(codes[:, None] ^ codes[None])
    expected = {(i, j) for i, j in np.argwhere(distance <= 7).tolist() if i < j}
    pairs = np.concatenate(list(duplicates.candidate_pairs(codes, rng.random(400, np.float32))))
    assert {tuple(pair) for pair in pairs.tolist()} == expected


def test_ten_thousand_copies_of_a_picture_take_no_longer():
    pixels = np.full((10_000, 8, 8, 3), 90, np.uint8)
    pixels[-1, :4] = 200
    images = Images.from_arrays(pixels)
    assert len(duplicates.duplicate_pairs(images)) == 9_998
    assert np.bincount(duplicates.duplicate_clusters(images)).tolist() == [9_999] + [0] * 9_998 + [1]


def test_crowded_buckets_are_searched_among_neighbours_only():
    count = sum(len(pairs) for pairs in duplicates.candidate_pairs(np.zeros(4000, np.uint64), np.arange(4000.0)))
    assert 4000 < count <= 8 * 128 * 4000


def test_each_repeated_picture_is_listed_once_with_its_closest_copy(tmp_path, scene):
    picture = scene(0, 96, 80)
    picture.save(tmp_path / "a.png")
    for name in ("b.jpg", "c.jpg"):
        picture.save(tmp_path / name, quality=60)
    assert duplicates.duplicate_pairs(Images.open(tmp_path)).tolist() == [[0, 1], [1, 2]]


@pytest.fixture
def two_folders(tmp_path, scene):
    """Sixty scenes, and in another folder copies of half of them: resized, re-encoded, mirrored, and all of it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    for i in range(60):
        picture = scene(i, 96, 80)
        picture.save(tmp_path / "one" / f"{i}.png")
        copy = picture
        if i % 4 in (0, 3):
            copy = copy.resize((60, 50) if i % 8 < 4 else (180, 150))
        if i % 4 in (1, 3):
            copy = ImageOps.mirror(copy)
        if i < 30:
            copy.save(tmp_path / "two" / f"{i}.jpg", quality=40 + 5 * (i % 11))
        else:
            scene(1000 + i, 96, 80).save(tmp_path / "two" / f"{i}.png")
    first, second = Images.open(tmp_path / "one"), Images.open(tmp_path / "two")
    return first + second, np.repeat(["one", "two"], [len(first), len(second)])


def test_copies_across_two_folders_are_all_found_and_mirrored_ones_marked(two_folders):
    images, folder = two_folders
    pairs = duplicates.cross_duplicates(images, folder)
    stems = [path.rsplit("/", 1)[1].split(".")[0] for path in images.paths.tolist()]
    assert sorted(stems[b] for _, b in pairs.tolist()) == sorted(str(i) for i in range(30))
    assert all(stems[a] == stems[b] for a, b in pairs.tolist())
    mirrored = [int(stems[b]) % 4 in (1, 3) for _, b in pairs.tolist()]
    assert duplicates.mirrored_pairs(images, pairs).tolist() == mirrored


def test_every_member_of_a_cluster_in_two_parts_is_listed(tmp_path, scene):
    for i in range(4):
        scene(0, 96, 80).save(tmp_path / f"{i}.jpg", quality=50 + 10 * i)
    images = Images.open(tmp_path)
    assert duplicates.cross_duplicates(images, np.array(["a", "a", "b", "b"])).tolist() == [[0, 2], [0, 3], [1, 2]]
    assert len(duplicates.cross_duplicates(images, np.array(["a"] * 4))) == 0


def test_mirrored_copies_stay_in_one_part_of_a_split(tmp_path, scene):
    for i in range(20):
        scene(i, 96, 80).save(tmp_path / f"{i}.png")
        ImageOps.mirror(scene(i, 96, 80)).save(tmp_path / f"{i}m.png")
    first, second = Images.open(tmp_path).split(0.5, 0.5)
    stems = [{path.rsplit("/", 1)[1].split(".")[0].rstrip("m") for path in part.paths} for part in (first, second)]
    assert not stems[0] & stems[1]
