import numpy as np
import pytest

from diptych.data.images import Images
from diptych.data.training_digests import pack_digests, stored_digests
from diptych.errors import DataError
from diptych.recognition.datasets import check_labels, evaluation_part, median_side, prepare


def noise(labels, *, classes=(), groups=None, seed=0) -> Images:
    """Noise, so that no two pictures are alike."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 8, 8, 3)).astype(np.uint8)
    return Images.from_arrays(pixels, labels, classes=classes, groups=groups)


def test_a_share_is_held_out_in_proportion():
    images = noise(np.repeat([0, 1, 2], [60, 30, 10]), classes=("a", "b", "c"))
    prepared = prepare(images, None, 8, seed=0)
    assert len(prepared.training) + len(prepared.validation) == 100
    assert prepared.validation.counts() == pytest.approx({"a": 9, "b": 5, "c": 2}, abs=1)
    assert not set(prepared.training.paths) & set(prepared.validation.paths)


def test_the_number_held_out_is_bounded(monkeypatch):
    monkeypatch.setattr("diptych.recognition.hold_out.MAX_HELD_OUT", 6)
    prepared = prepare(noise(np.arange(80) % 2, classes=("a", "b")), None, 8, seed=0)
    assert len(prepared.validation) == 6


def test_two_pictures_a_class_are_enough_for_one_on_each_side():
    prepared = prepare(noise(np.arange(10) // 2, classes=tuple("abcde")), None, 8, seed=0)
    assert set(prepared.training.counts().values()) == set(prepared.validation.counts().values()) == {1}


def test_own_parts_are_used_and_the_test_part_is_left_unread(caplog):
    parts = np.repeat(["train", "validation", "test"], [20, 10, 6])
    images = noise(np.arange(36) % 2, classes=("a", "b"), groups={"split": parts})
    prepared = prepare(images, None, 8, seed=0)
    assert len(prepared.training) == 20
    assert len(prepared.validation) == 10
    assert any("test part (6 pictures) was left unread" in note for note in prepared.notes)
    assert len(evaluation_part(images)) == 6
    assert len(evaluation_part(images[:30])) == 30
    assert "no test part" in caplog.text


def test_validation_classes_are_matched_by_name():
    images = noise(np.arange(20) % 2, classes=("a", "b"))
    validate = noise([0, 0, 1], classes=("b", "a"), seed=1)
    prepared = prepare(images, validate, 8, seed=0)
    assert prepared.validation.classes == ("a", "b")
    assert prepared.validation.labels.tolist() == [1, 1, 0]
    with pytest.raises(DataError, match="unknown here: z"):
        prepare(images, noise([0, 1], classes=("a", "z"), seed=1), 8, seed=0)


def test_unlabelled_pictures_and_empty_classes_are_left_out_with_a_note():
    images = noise([0, 1] * 10 + [-1] * 3, classes=("a", "b", "c"))
    prepared = prepare(images, None, 8, seed=0)
    assert prepared.training.classes == ("a", "b")
    assert any("3 pictures without a label" in note for note in prepared.notes)
    assert any("without any picture were left out: c" in note for note in prepared.notes)


def test_unreadable_pictures_are_left_out_and_named(folder_with_a_broken_picture):
    prepared = prepare(Images.open(folder_with_a_broken_picture), None, 8, seed=0)
    assert len(prepared.training) + len(prepared.validation) == 12
    assert any("broken.png" in note for note in prepared.notes)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0] * 12, ("cat",), "only one class, 'cat'"),
        ([0] * 12, ("cat", "dog"), "only one class, 'cat'"),
        ([0] * 12 + [1], ("cat", "dog"), "only one readable picture of dog"),
        ([0, 0, 0, 1, 1], ("cat", "dog"), "only 5 readable pictures in all"),
    ],
)
def test_too_little_is_refused_in_a_sentence(labels, classes, message):
    with pytest.raises(DataError, match=message):
        prepare(noise(labels, classes=classes), None, 8, seed=0)


def test_no_labels_and_no_pictures():
    with pytest.raises(DataError, match=r"no labels.*--labels names .* --labels COLUMN"):
        check_labels(noise([-1] * 20, classes=("a", "b")))
    with pytest.raises(DataError, match="no pictures"):
        check_labels(noise([0, 1], classes=("a", "b"))[:0])


def test_copies_of_one_picture_cannot_be_split():
    pixels = np.zeros((12, 8, 8, 3), np.uint8)
    pixels[:6, :4] = 250
    pixels[6:, :, :4] = 250
    images = Images.from_arrays(pixels, np.arange(12) // 6, classes=("a", "b"))
    with pytest.raises(DataError, match="near-duplicates"):
        prepare(images, None, 8, seed=0)


def test_the_size_is_the_median_of_the_shorter_sides():
    shapes = [(10, 40), (12, 90), (50, 14)]
    pictures = [np.zeros((height, width, 3), np.uint8) for height, width in shapes]
    assert median_side(Images.from_arrays(pictures)) == 12


def test_pictures_that_the_initial_weights_were_trained_on_are_never_validated_on():
    images = noise(np.arange(80) % 2, classes=("a", "b"))
    trained = stored_digests({"digests": pack_digests(images[:68])})
    prepared = prepare(images, None, 8, 0, trained=trained)  # about as many others as are wanted: all of them
    assert set(prepared.validation.paths) == set(images[68:].paths)
    prepared = prepare(images, None, 8, 0, trained=stored_digests({"digests": pack_digests(images[:20])}))
    assert not set(prepared.validation.paths) & set(images[:20].paths)
    assert len(prepared.validation) == pytest.approx(12, abs=1)
    assert set(prepared.training.paths) | set(prepared.validation.paths) == set(images.paths)
    with pytest.raises(DataError, match="trained on all of these pictures"):
        prepare(images, None, 8, 0, trained=stored_digests({"digests": pack_digests(images)}))


def test_pictures_for_validation_that_the_initial_weights_were_trained_on_are_left_out_with_a_note():
    images = noise(np.arange(80) % 2, classes=("a", "b"))
    trained = stored_digests({"digests": pack_digests(images[:10])})
    prepared = prepare(images[:60], images[:10] + images[60:], 8, 0, trained=trained)
    assert set(prepared.validation.paths) == set(images[60:].paths)
    assert "10 of the pictures for validation were left out: the initial model was trained on them." in prepared.notes
    with pytest.raises(DataError, match="trained on every picture for validation"):
        prepare(images[10:], images[:10], 8, 0, trained=trained)


def test_series_are_held_out_as_a_whole_and_the_note_says_so():
    images = noise(np.arange(80) % 2, classes=("a", "b"))
    owner = {path: number // 8 for number, path in enumerate(images.paths.tolist())}  # shots of ten things

    def find_series(part):
        return np.array([owner[path] for path in part.paths.tolist()])

    prepared = prepare(images, None, 8, 0, find_series=find_series)
    sides = [{owner[path] for path in part.paths.tolist()} for part in (prepared.training, prepared.validation)]
    assert not sides[0] & sides[1]
    assert prepared.series.tolist() == [owner[path] for path in prepared.training.paths.tolist()]
    assert any("80 of all look like shots of the same things, in 10 series" in note for note in prepared.notes)
    unsearched = prepare(images, None, 8, 0, find_series=lambda _: None)
    assert unsearched.series is None
    assert any("may be on both sides" in note for note in unsearched.notes)


def test_a_run_that_goes_on_keeps_its_split():
    images = noise(np.arange(80) % 2, classes=("a", "b"))
    kept = stored_digests({"digests": pack_digests(images[10:])})
    prepared = prepare(images, None, 8, 0, keep=kept)
    assert set(prepared.training.paths) == set(images[10:].paths)
    assert set(prepared.validation.paths) == set(images[:10].paths)
