import numpy as np
import pytest

from diptych.data.images import Images
from diptych.data.training_digests import pack_digests, stored_digests
from diptych.errors import DataError
from diptych.synthesis import datasets


def _images(n=40, size=12, labels=None, **about) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    return Images.from_arrays(pixels, labels, **about)


def test_two_labelled_classes_make_it_conditional():
    prepared = datasets.prepare(_images(labels=np.arange(40) % 2, classes=("a", "b")), None, None, 0)
    assert prepared.classes == ("a", "b")
    assert prepared.size == 12
    assert sum(prepared.shares) == pytest.approx(1)
    assert prepared.held_out is None  # too few to hold any out
    for labels in (None, np.zeros(40, int), np.r_[-1, np.arange(39) % 2]):
        assert datasets.prepare(_images(labels=labels, classes=("a", "b")), None, None, 0).classes == ()


def test_an_empty_class_is_not_a_class_of_the_model():
    prepared = datasets.prepare(_images(labels=np.arange(40) % 2 * 2, classes=("a", "b", "c")), None, 8, 0)
    assert prepared.classes == ("a", "c")
    assert set(np.asarray(prepared.training.labels).tolist()) == {0, 1}


def test_a_twentieth_of_many_pictures_is_held_out():
    prepared = datasets.prepare(_images(200), None, None, 0)
    assert (len(prepared.training), len(prepared.held_out)) == (190, 10)
    assert not set(prepared.training.paths) & set(prepared.held_out.paths)


def test_pictures_with_several_labels_each_are_unlabelled_to_a_synthesizer():
    multi_label = _images(200, labels=np.eye(2, dtype=bool)[np.arange(200) % 2], classes=("a", "b"))
    prepared = datasets.prepare(multi_label, multi_label[:20], None, 0)
    assert prepared.classes == ()
    assert prepared.training.labels.tolist() == [-1] * 200
    assert prepared.held_out.labels.tolist() == [-1] * 20


def test_a_class_s_only_picture_is_never_held_out():
    labels = np.zeros(120, int)
    for single in range(0, 120, 5):  # about one in twenty is held out
        labels[single] = 1
        prepared = datasets.prepare(_images(120, labels=labels, classes=("a", "b")), None, None, 0)
        assert 1 in prepared.training.labels
        labels[single] = 0


def test_where_every_picture_is_a_class_none_is_held_out():
    names = [f"{i:03}" for i in range(120)]
    prepared = datasets.prepare(_images(120, labels=np.arange(120), classes=names), None, None, 0)
    assert len(prepared.training) == 120
    assert prepared.held_out is None


def test_no_picture_to_validate_on_can_be_read(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="for validation"):
        datasets.prepare(_images(), Images.of_files([str(tmp_path / "torn.png")]), None, 0)


def test_only_the_train_split_is_trained_on():
    split = np.array(["train"] * 30 + ["test"] * 10)
    assert len(datasets.prepare(_images(groups={"split": split}), None, None, 0).training) == 30


def test_the_default_size_is_the_pictures_own_where_small():
    sizes = {8: 8, 5: 8, 28: 28, 33: 32, 64: 64, 300: 64}
    assert {own: datasets.default_size(_images(12, own)) for own in sizes} == sizes


def test_too_few_pictures_are_refused_with_the_cure():
    with pytest.raises(DataError, match=r"5 pictures.*Add pictures"):
        datasets.prepare(_images(5), None, None, 0)


def test_mirroring_is_for_pictures_that_look_alike_when_mirrored():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), np.uint8)
    assert datasets.is_mirror_symmetric(datasets.prepare(Images.from_arrays(pixels), None, 8, 0), 0)
    pixels[:, :, 5] //= 2
    assert not datasets.is_mirror_symmetric(datasets.prepare(Images.from_arrays(pixels), None, 8, 0), 0)


def test_labels_are_matched_by_name():
    images = _images(3, labels=["b", "c", "a"], classes=("a", "b", "c"))
    assert datasets.match_labels(images, ("b", "a")).tolist() == [0, -1, 1]


def test_pictures_that_the_initial_weights_were_trained_on_are_never_held_out():
    images = _images(200)
    trained = stored_digests({"digests": pack_digests(images[:196])})
    prepared = datasets.prepare(images, None, None, 0, trained)
    assert set(prepared.held_out.paths) == set(images[196:].paths)
    assert (
        datasets.prepare(images, images[190:], None, 0, trained).held_out.paths.tolist() == images[196:].paths.tolist()
    )
    with pytest.raises(DataError, match="trained on every picture for validation"):
        datasets.prepare(images, images[:5], None, 0, trained)
