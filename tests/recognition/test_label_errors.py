import logging

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.data.inspection.inspect import examine
from diptych.errors import DataError, UsageError
from diptych.recognition import label_errors
from diptych.recognition.evaluation.reliability import count_trained_on
from diptych.recognition.label_ranking import log_odds, rank_labels
from diptych.recognition.recognizer import Recognizer


def some_digits(first, last):
    """These of the pictures of each of four digits."""
    every = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(every.labels == label)[first:last] for label in range(4)])
    return every[rows].relabel(list("0123456789"))


@pytest.fixture(scope="module")
def swapped():
    """Digits of which eight have another's label; and which."""
    digits = some_digits(0, 100)
    labels = digits.labels.copy()
    rows = np.random.default_rng(0).choice(len(digits), 8, replace=False)
    labels[rows] = (labels[rows] + 1) % 4
    pixels = np.stack([digits.picture(i) for i in range(len(digits))])
    return Images.from_arrays(pixels, labels, classes=list("0123")), set(rows.tolist())


@pytest.fixture(scope="module")
def model():
    """A recognizer that was trained on other digits."""
    return Recognizer("convnet", epochs=12).fit(some_digits(100, 177))


def test_wrong_labels_rank_first(swapped, caplog):
    images, wrong = swapped
    with caplog.at_level(logging.INFO, "diptych"):
        issues = label_errors.find_label_errors(images, minutes=0.3)
    assert len(wrong & {issue.row for issue in issues[:12]}) >= 6  # of 8, on a busy machine
    assert [issue.score for issue in issues] == sorted(issue.score for issue in issues)
    for issue in issues[:5]:
        assert issue.given == images.classes[images.labels[issue.row]]
        assert issue.suggested != issue.given
    assert not [record for record in caplog.records if record.levelno < logging.WARNING]  # of the inner trainings


def test_a_trained_model_can_be_used_instead(swapped, model):
    images, wrong = swapped
    listed = {issue.row for issue in label_errors.find_label_errors(images, model=model)}
    assert len(wrong & listed) >= 6
    assert len(listed - wrong) <= 3


def test_a_model_that_was_trained_on_the_pictures_is_reported(model, caplog):
    digits = Images.open("digits")[:200]
    images = digits[digits.labels < 4].relabel(["0", "1", "2", "3"])
    overlap = count_trained_on(images, model.embedding_index_)
    label_errors.find_label_errors(images, model=model)
    assert (f"at least {overlap} of these {len(images)} pictures" in caplog.text) == (overlap > 0)


def test_pictures_without_label_and_rare_classes_are_passed_over(caplog):
    pixels = np.random.default_rng(0).integers(0, 256, (42, 8, 8, 3), np.uint8)
    images = Images.from_arrays(pixels, [0] * 19 + [1] * 19 + [2] * 2 + [-1] * 2, classes=["a", "b", "rare"])
    rows, subset = label_errors._searchable(images, np.ones(len(images), bool))
    assert rows.tolist() == list(range(38))
    assert subset.classes == ("a", "b")
    assert "under 3 pictures: rare" in caplog.text


def test_folds_hold_every_class_and_keep_copies_together(swapped):
    images, _ = swapped
    doubled = Images.from_arrays(
        np.concatenate([[images.picture(i) for i in range(len(images))]] * 2), np.tile(images.labels, 2)
    )
    folds = label_errors._assign_folds(doubled, 0, label_errors.FOLDS)
    assert (folds[: len(images)] == folds[len(images) :]).all()
    for fold in range(3):
        assert min(doubled[folds == fold].counts().values()) > 15


def test_several_labels_a_picture():
    pixels = np.zeros((4, 8, 8, 3), np.uint8)
    images = Images.from_arrays(pixels, [[1, 0], [0, 1], [1, 1], [0, 0]], classes=["a", "b"])
    probabilities = np.array([[0.9, 0.1], [0.1, 0.2], [0.9, 0.8], [0.4, 0.95]])
    issues = rank_labels(np.arange(4), images, log_odds(probabilities, images), "a model").issues
    assert [(issue.row, issue.given, issue.suggested) for issue in issues] == [(3, "", "b"), (1, "b", "")]


def test_impossible_searches_are_refused(swapped, model):
    images, _ = swapped
    with pytest.raises(UsageError, match="Only photographs"):
        label_errors.find_label_errors(images)
    with pytest.raises(UsageError, match="either minutes"):
        label_errors.find_label_errors(images, minutes=1, model=model)
    with pytest.raises(DataError, match="needs 30 readable pictures of two classes"):
        label_errors.find_label_errors(images[:10], minutes=1)


def test_the_outliers_of_an_embedding_take_the_place_of_those_of_statistics(swapped, model):
    images, _ = swapped
    rows = np.arange(len(images))
    inspection = examine(images).with_outliers(rows, model.embed(images).numpy())
    assert {problem.kind for problem in inspection.issues} <= {"outlier", "low information", "blurred", "dark"}


def pretrained_features(labels, classes, spread=0.6, seed=0):
    """(N, 32) features of unit length, near the centre of each picture's class."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(classes, 32))
    features = centres[labels] + spread * draw.normal(size=(len(labels), 32))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def images_labelled(labels, classes):
    pixels = np.random.default_rng(1).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)
    return Images.from_arrays(pixels, labels, classes=[str(i) for i in range(classes)])


def test_features_find_swapped_labels_and_little_else():
    right = np.arange(300) % 5
    labels = right.copy()
    wrong = np.random.default_rng(2).choice(300, 15, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 5
    features = pretrained_features(right, 5)
    features[7] = np.nan  # cannot be read
    search = label_errors.search_by_features(images_labelled(labels, 5), features, "lite0", 0)
    listed = {issue.row for issue in search.issues}
    assert len(listed & set(wrong.tolist())) >= 13
    assert len(listed - set(wrong.tolist())) <= 2
    assert all(issue.suggested == str(right[issue.row]) for issue in search.issues if issue.row in wrong)
    assert "agrees with 9" in search.note
    assert "299 labels" in search.note
    assert "expect about" not in search.note  # most of those that it contradicts are wrong


def test_a_doubter_that_guesses_lists_nothing_and_says_so():
    labels = np.random.default_rng(0).integers(0, 2, 200)
    features = pretrained_features(np.zeros(200, np.int64), 1)
    search = label_errors.search_by_features(images_labelled(labels, 2), features, "lite0", 0)
    assert search.issues == ()
    assert "no better than guessing" in search.note


def test_a_weak_doubter_lists_at_most_a_tenth():
    labels = np.random.default_rng(0).integers(0, 3, 400)
    logits = np.full((400, 3), -4.0)
    logits[np.arange(400), (labels + (np.arange(400) % 7 == 0)) % 3] = 4.0  # contradicts a seventh, firmly
    search = rank_labels(np.arange(400), images_labelled(labels, 3), logits * 3, "a doubter")
    assert len(search.issues) == 58
    assert search.listed == 40
    assert "Of 58 suspected labels the 40 most certain are listed; the manifest names all." in search.note
    assert "agrees with 85.5%" in search.note
    assert "where one label in 20 is wrong, expect about 34% of those that it contradicts to be" in search.note
