import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from diptych.recognition.confidence import conformal


def overlapping_classes(n: int, classes: int = 4, seed: int = 0):
    """Features and labels of classes that overlap."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, n)
    return draw.normal(size=(n, 5)) + 1.2 * np.eye(classes, 5)[labels], labels


@pytest.fixture(scope="module")
def classifier():
    return LogisticRegression().fit(*overlapping_classes(200))


@pytest.mark.parametrize("n", [40, 199, 1000])
def test_the_label_sets_are_those_of_mapie(classifier, n):
    (calibration, targets), (new, _) = overlapping_classes(n, seed=1), overlapping_classes(500, seed=2)
    mapie = SplitConformalClassifier(classifier, confidence_level=0.9, conformity_score="lac", prefit=True)
    _, expected = mapie.conformalize(calibration, targets).predict_set(new)
    cutoff = conformal.prediction_set_cutoff(classifier.predict_proba(calibration), targets)
    assert (conformal.prediction_sets(classifier.predict_proba(new), cutoff) == expected[:, :, 0]).all()


def test_coverage_is_in_the_stated_range(classifier):
    """Over many calibration sets of 100, 95 % of the coverages lie in the range, and their mean is the target."""
    pictures, labels = overlapping_classes(100 * 100, seed=3)
    new, targets = overlapping_classes(4000, seed=4)
    calibration, further = classifier.predict_proba(pictures), classifier.predict_proba(new)
    coverages = []
    for rows in np.arange(len(labels)).reshape(100, 100):
        sets = conformal.prediction_sets(further, conformal.prediction_set_cutoff(calibration[rows], labels[rows]))
        coverages.append(sets[np.arange(len(targets)), targets].mean())
    low, high = conformal.coverage_range(100)
    assert np.mean(coverages) == pytest.approx(91 / 101, abs=0.01)
    assert 0.9 <= np.mean([low <= c <= high for c in coverages]) <= 1.0


def test_the_coverage_range_follows_from_the_count():
    assert conformal.coverage_range(100) == pytest.approx(beta.ppf([0.025, 0.975], 91, 10))
    assert conformal.coverage_range(1000) == pytest.approx((0.88, 0.918), abs=0.003)
    assert conformal.coverage_range(5) == (1.0, 1.0)


def test_with_too_few_pictures_every_label_is_in_the_set():
    cutoff = conformal.prediction_set_cutoff(np.array([[0.9, 0.1]] * 8), np.zeros(8, np.int64))
    assert cutoff == 0.0
    assert conformal.prediction_sets(np.array([[1.0, 0.0]]), cutoff).all()


def test_the_share_of_several_labels_that_is_missed_is_controlled():
    draw = np.random.default_rng(5)
    probabilities = draw.random((6000, 5)) ** 2
    targets = draw.random((6000, 5)) < probabilities
    missed = []
    for rows in np.arange(4000).reshape(20, 200):
        cutoff = conformal.multi_label_cutoff(probabilities[rows], targets[rows])
        sets = conformal.prediction_sets(probabilities[4000:], cutoff)
        labels = targets[4000:].sum(1)
        missed.append(((targets[4000:] & ~sets).sum(1)[labels > 0] / labels[labels > 0]).mean())
    assert 0.08 < np.mean(missed) <= 0.101


def test_with_few_pictures_of_several_labels_every_label_is_in_the_set():
    assert conformal.multi_label_cutoff(np.full((5, 3), 0.5), np.ones((5, 3), bool)) == 0.0
    assert conformal.multi_label_cutoff(np.full((50, 3), 0.5), np.zeros((50, 3), bool)) == 0.0
