import numpy as np
import pytest
import torch

from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.synthesis import datasets


def _images(n=40, size=12, labels=None, **about) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    return Images.from_arrays(pixels, labels, **about)


def test_two_labelled_classes_make_it_conditional():
    two = datasets.prepare(_images(labels=np.arange(40) % 2, classes=("a", "b")), None, None, 0)
    assert two.classes == ("a", "b")
    assert two.size == 12
    assert sum(two.shares) == pytest.approx(1)
    assert two.held is None  # too few to hold any out
    for labels in (None, np.zeros(40, int), np.r_[-1, np.arange(39) % 2]):
        assert datasets.prepare(_images(labels=labels, classes=("a", "b")), None, None, 0).classes == ()


def test_an_empty_class_is_none_that_can_be_asked_for():
    prepared = datasets.prepare(_images(labels=np.arange(40) % 2 * 2, classes=("a", "b", "c")), None, 8, 0)
    assert prepared.classes == ("a", "c")
    assert set(np.asarray(prepared.train.labels).tolist()) == {0, 1}


def test_some_are_held_out_of_many():
    prepared = datasets.prepare(_images(200), None, None, 0)
    assert (len(prepared.train), len(prepared.held)) == (190, 10)
    assert not set(prepared.train.paths) & set(prepared.held.paths)


def test_several_labels_a_picture_are_none_to_a_synthesizer():
    several = _images(200, labels=np.eye(2, dtype=bool)[np.arange(200) % 2], classes=("a", "b"))
    prepared = datasets.prepare(several, several[:20], None, 0)
    assert prepared.classes == ()
    assert prepared.train.labels.tolist() == [-1] * 200
    assert prepared.held.labels.tolist() == [-1] * 20


def test_a_class_s_only_picture_is_never_held_out():
    labels = np.zeros(120, int)
    for lone in range(0, 120, 5):  # about one in twenty is held out
        labels[lone] = 1
        prepared = datasets.prepare(_images(120, labels=labels, classes=("a", "b")), None, None, 0)
        assert 1 in prepared.train.labels
        labels[lone] = 0


def test_where_every_picture_is_a_class_none_is_held_out():
    names = [f"{i:03}" for i in range(120)]
    prepared = datasets.prepare(_images(120, labels=np.arange(120), classes=names), None, None, 0)
    assert len(prepared.train) == 120
    assert prepared.held is None


def test_no_picture_to_validate_on_can_be_read(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="for validation"):
        datasets.prepare(_images(), Images.of_files([str(tmp_path / "torn.png")]), None, 0)


def test_only_the_train_split_is_learnt_from():
    split = np.array(["train"] * 30 + ["test"] * 10)
    assert len(datasets.prepare(_images(groups={"split": split}), None, None, 0).train) == 30


@pytest.mark.parametrize("size", [0, 4, 10, 33, 132, 1000])
def test_sizes_that_cannot_be_name_the_nearest(size):
    with pytest.raises(UsageError, match="Set the size to") as told:
        datasets.check_size(size)
    nearest = [int(word.rstrip(".")) for word in str(told.value).split("size to ")[1].split(" or ")]
    assert [datasets.check_size(near) for near in nearest] == nearest


def test_the_usual_size_is_the_pictures_own_where_small():
    sizes = {8: 8, 5: 8, 28: 28, 33: 32, 64: 64, 300: 64}
    assert {own: datasets.default_size(_images(12, own)) for own in sizes} == sizes


def test_too_few_pictures_are_refused_with_the_cure():
    with pytest.raises(DataError, match=r"5 pictures.*Add pictures"):
        datasets.prepare(_images(5), None, None, 0)


def test_mirroring_is_for_pictures_that_look_alike_when_mirrored():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (200, 3, 8, 8), generator=generator).byte()
    labels = np.zeros(200, np.int64)
    assert datasets.mirror_symmetric(pixels, labels)
    pixels[:, :, :, 5] //= 2
    assert not datasets.mirror_symmetric(pixels, labels)


def test_labels_are_matched_by_name():
    images = _images(3, labels=["b", "c", "a"], classes=("a", "b", "c"))
    assert datasets.match_labels(images, ("b", "a")).tolist() == [0, -1, 1]
