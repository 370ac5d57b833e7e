import numpy as np
import pytest

from diptych.data.images import Images


@pytest.fixture
def two_sources(class_folders):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), np.uint8)
    return Images.open(class_folders), Images.from_arrays(pixels)


def test_a_source_of_both_stores_is_listed_once(two_sources):
    files, arrays = two_sources
    store = (files[:2] + arrays + files[5:7]).store
    assert store.sources == (files.store.sources[0], arrays.store.sources[0])
    assert store.source_numbers.tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert store.source_rows.tolist() == [0, 1, 0, 1, 2, 5, 6]


def test_pictures_of_several_sources_keep_their_order(two_sources):
    files, arrays = two_sources
    store = (arrays + files).store[[14, 1, 3, 0]]
    assert store.fill(8, "squash") == {}
    expected = [files.picture(11, 8), arrays.picture(1, 8), files.picture(0, 8), arrays.picture(0, 8)]
    assert np.array_equal(store.gather(8, "squash"), np.stack(expected).transpose(0, 3, 1, 2))


def test_errors_are_given_by_position(class_folders):
    (class_folders / "cat" / "2.png").write_bytes(b"")
    store = Images.open(class_folders).store[[5, 2, 2, 0]]
    assert store.errors() == {}
    assert list(store.check(8, "squash")) == [1, 2] == list(store.errors())
    assert (store.digests() == 0).tolist() == [False, True, True, False]


def test_an_observer_sees_every_picture_decoded_in_its_context(two_sources):
    files, arrays = two_sources
    store = (files[3:5] + arrays).store
    sizes = {}
    with store.observed(lambda position, picture: sizes.update({position: picture.size})):
        store.check(8, "squash")
        assert sizes == {0: (48, 40), 1: (48, 40), 2: (9, 9), 3: (9, 9), 4: (9, 9)}
        sizes.clear()
        store.check(8, "squash")  # all are tried already
        assert sizes == {}
        store[1:3].decode_again(8, "squash")
    assert sorted(sizes) == [1, 2]
    store.decode_again(8, "squash")
    assert sorted(sizes) == [1, 2]
