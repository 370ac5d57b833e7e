import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from diptych.recognition.confidence import conformal


def drawn(n: int, classes: int = 4, seed: int = 0):
    """Features and labels that no classifier can tell wholly apart."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, n)
    return draw.normal(size=(n, 5)) + 1.2 * np.eye(classes, 5)[labels], labels


@pytest.fixture(scope="module")
def classifier():
    return LogisticRegression().fit(*drawn(200))


@pytest.mark.parametrize("n", [40, 199, 1000])
def test_the_sets_are_those_of_mapie(classifier, n):
    (calibration, truth), (new, _) = drawn(n, seed=1), drawn(500, seed=2)
    mapie = SplitConformalClassifier(classifier, confidence_level=0.9, conformity_score="lac", prefit=True)
    _, theirs = mapie.conformalize(calibration, truth).predict_set(new)
    cutoff = conformal.set_cutoff(classifier.predict_proba(calibration), truth)
    assert (conformal.label_sets(classifier.predict_proba(new), cutoff) == theirs[:, :, 0]).all()


def test_coverage_is_as_stated(classifier):
    """Over many calibration sets of 100, 95 % of the coverages lie in the range, and their mean is the target."""
    pictures, labels = drawn(100 * 100, seed=3)
    new, truth = drawn(4000, seed=4)
    chances, asked = classifier.predict_proba(pictures), classifier.predict_proba(new)
    covered = []
    for rows in np.arange(len(labels)).reshape(100, 100):
        sets = conformal.label_sets(asked, conformal.set_cutoff(chances[rows], labels[rows]))
        covered.append(sets[np.arange(len(truth)), truth].mean())
    low, high = conformal.coverage_range(100)
    assert np.mean(covered) == pytest.approx(91 / 101, abs=0.01)
    assert 0.9 <= np.mean([low <= c <= high for c in covered]) <= 1.0


def test_the_range_follows_from_the_count():
    assert conformal.coverage_range(100) == pytest.approx(beta.ppf([0.025, 0.975], 91, 10))
    assert conformal.coverage_range(1000) == pytest.approx((0.88, 0.918), abs=0.003)
    assert conformal.coverage_range(5) == (1.0, 1.0)


def test_of_too_few_pictures_every_label_is_in_the_set():
    cutoff = conformal.set_cutoff(np.array([[0.9, 0.1]] * 8), np.zeros(8, np.int64))
    assert cutoff == 0.0
    assert conformal.label_sets(np.array([[1.0, 0.0]]), cutoff).all()


def test_of_several_labels_the_share_missed_is_controlled():
    draw = np.random.default_rng(5)
    chances = draw.random((6000, 5)) ** 2
    truth = draw.random((6000, 5)) < chances
    missed = []
    for rows in np.arange(4000).reshape(20, 200):
        cutoff = conformal.multi_label_cutoff(chances[rows], truth[rows])
        sets = conformal.label_sets(chances[4000:], cutoff)
        labels = truth[4000:].sum(1)
        missed.append(((truth[4000:] & ~sets).sum(1)[labels > 0] / labels[labels > 0]).mean())
    assert 0.08 < np.mean(missed) <= 0.101


def test_of_few_pictures_with_several_labels_none_is_left_out():
    assert conformal.multi_label_cutoff(np.full((5, 3), 0.5), np.ones((5, 3), bool)) == 0.0
    assert conformal.multi_label_cutoff(np.full((50, 3), 0.5), np.zeros((50, 3), bool)) == 0.0
