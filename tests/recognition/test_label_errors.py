import logging

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.data.inspection.inspect import examine
from diptych.errors import DataError, UsageError
from diptych.recognition import label_errors
from diptych.recognition.recognizer import Recognizer


@pytest.fixture(scope="module")
def swapped(digits):
    """Digits of which eight have another's label; and which."""
    labels = digits.labels.copy()
    rows = np.random.default_rng(0).choice(len(digits), 8, replace=False)
    labels[rows] = (labels[rows] + 1) % 4
    pixels = np.stack([digits.picture(i) for i in range(len(digits))])
    return Images.from_arrays(pixels, labels, classes=list("0123")), set(rows.tolist())


@pytest.fixture(scope="module")
def model(digits):
    """A recognizer that was trained on other digits."""
    every = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(every.labels == k)[60:140] for k in range(4)])
    return Recognizer("convnet", epochs=12).fit(every[rows].relabel(list("0123456789")))


def test_wrong_labels_rank_first(swapped, caplog):
    images, wrong = swapped
    with caplog.at_level(logging.INFO, "diptych"):
        issues = label_errors.find_label_errors(images, minutes=0.75)
    assert len(wrong & {issue.row for issue in issues[:12]}) >= 7
    assert [issue.score for issue in issues] == sorted(issue.score for issue in issues)
    for issue in issues[:5]:
        assert issue.given == images.classes[images.labels[issue.row]]
        assert issue.suggested != issue.given
    assert sum("recognizer" in record.message for record in caplog.records) == 3


def test_a_trained_model_can_be_used_instead(swapped, model):
    images, wrong = swapped
    issues = label_errors.find_label_errors(images, model=model)
    assert len(wrong & {issue.row for issue in issues[:12]}) >= 7


def test_a_model_that_was_trained_on_the_pictures_is_reported(model, caplog):
    digits = Images.open("digits")[:200]
    images = digits[digits.labels < 4].relabel(["0", "1", "2", "3"])
    overlap = label_errors.count_trained_on(model, images)
    label_errors.find_label_errors(images, model=model)
    assert (f"at least {overlap} of these {len(images)} pictures" in caplog.text) == (overlap > 0)


def test_pictures_without_label_and_rare_classes_are_passed_over(caplog):
    pixels = np.random.default_rng(0).integers(0, 256, (42, 8, 8, 3), np.uint8)
    images = Images.from_arrays(pixels, [0] * 19 + [1] * 19 + [2] * 2 + [-1] * 2, classes=["a", "b", "rare"])
    rows, subset = label_errors._searchable(images)
    assert rows.tolist() == list(range(38))
    assert subset.classes == ("a", "b")
    assert "under 3 pictures: rare" in caplog.text


def test_folds_hold_every_class_and_keep_copies_together(swapped):
    images, _ = swapped
    doubled = Images.from_arrays(
        np.concatenate([[images.picture(i) for i in range(len(images))]] * 2), np.tile(images.labels, 2)
    )
    folds = label_errors._assign_folds(doubled, 0)
    assert (folds[: len(images)] == folds[len(images) :]).all()
    for fold in range(3):
        assert min(doubled[folds == fold].counts().values()) > 15


def test_several_labels_a_picture():
    pixels = np.zeros((4, 8, 8, 3), np.uint8)
    images = Images.from_arrays(pixels, [[1, 0], [0, 1], [1, 1], [0, 0]], classes=["a", "b"])
    probabilities = np.array([[0.9, 0.1], [0.1, 0.2], [0.9, 0.8], [0.4, 0.95]])
    issues = label_errors._rank(np.arange(4), images, probabilities)
    assert [(issue.row, issue.given, issue.suggested) for issue in issues] == [(3, "", "b"), (1, "b", "")]


def test_impossible_searches_are_refused(swapped, monkeypatch):
    images, _ = swapped
    with pytest.raises(UsageError, match="either minutes"):
        label_errors.find_label_errors(images)
    with pytest.raises(DataError, match="needs 30 readable pictures of two classes"):
        label_errors.find_label_errors(images[:10], minutes=1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"diptych\[doctor\]"):
        label_errors.find_label_errors(images, minutes=1)


def test_the_outliers_of_an_embedding_take_the_place_of_those_of_statistics(swapped, model):
    images, _ = swapped
    rows = np.arange(len(images))
    inspection = examine(images).seen_by(rows, model.embed(images).numpy())
    assert {problem.kind for problem in inspection.problems} <= {"outlier", "low information", "blurred", "dark"}
