import math
import time

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from diptych.errors import TrainingError
from diptych.recognition.training import logistic_regression
from diptych.recognition.training.logistic_regression import LabelledFeatures, fit_logistic_regression


def clouds(n, classes, seed, apart=2.0, width=12):
    """Features of overlapping clouds, of very different scales and means, and their labels."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99)) * apart
    labels = torch.randint(0, classes, (n,), generator=draw)
    features = centres[labels] + torch.randn(n, width, generator=draw)
    return LabelledFeatures(features * torch.logspace(-3, 3, width) + 50, labels)


def test_it_is_the_regression_that_scikit_learn_finds(monkeypatch):
    monkeypatch.setattr(logistic_regression, "PENALTIES", (0.1,))
    training, validation = clouds(400, 3, 0, apart=0.7), clouds(200, 3, 1, apart=0.7)
    head = fit_logistic_regression(training, validation, 3)
    mean, deviation = training.features.mean(0), training.features.std(0, correction=0)
    reference = LogisticRegression(C=1 / (0.1 * 400), max_iter=1000, tol=1e-8)
    reference.fit((training.features - mean) / deviation, training.labels)
    expected = torch.from_numpy(reference.predict_proba((validation.features - mean) / deviation)).float()
    assert torch.allclose(head.logits(validation.features).softmax(1), expected, atol=2e-3)


def test_the_penalty_is_the_one_that_fits_other_pictures_best():
    training, validation = clouds(60, 3, 0, apart=0.4, width=40), clouds(2000, 3, 1, apart=0.4, width=40)
    strong = fit_logistic_regression(training, validation, 3)
    plenty = fit_logistic_regression(clouds(20000, 3, 2, apart=0.4, width=40), validation, 3)
    assert strong.penalty > 10 * plenty.penalty


def test_a_balanced_fit_recognises_a_rare_class():
    def uneven(seed):
        labelled = clouds(4000, 2, seed, apart=0.35)
        keep = (labelled.labels == 0) | (torch.arange(4000) % 40 == 0)
        return LabelledFeatures(labelled.features[keep], labelled.labels[keep])

    training, validation, even = uneven(0), uneven(1), clouds(2000, 2, 2, apart=0.35)
    rare = even.labels == 1
    recall = {
        b: fit_logistic_regression(training, validation, 2, balanced=b)
        .logits(even.features)
        .argmax(1)[rare]
        .float()
        .mean()
        for b in (False, True)
    }
    assert recall[True] > recall[False] + 0.3


def test_each_of_several_labels_has_a_regression_of_its_own():
    labelled = clouds(500, 3, 0)
    multi_label = LabelledFeatures(labelled.features, torch.nn.functional.one_hot(labelled.labels, 3).float())
    head = fit_logistic_regression(multi_label, multi_label, 3)
    assert ((head.logits(multi_label.features) > 0) == multi_label.labels.bool()).float().mean() > 0.95


def test_when_time_is_up_the_search_ends():
    labelled = clouds(100, 2, 0)
    assert (
        fit_logistic_regression(labelled, labelled, 2, until=time.monotonic() - 1).penalty
        == logistic_regression.PENALTIES[0]
    )


def test_constant_features_do_no_harm():
    labelled = clouds(100, 2, 0)
    constant = LabelledFeatures(torch.cat((labelled.features, torch.full((100, 1), 7.0)), 1), labelled.labels)
    head = fit_logistic_regression(constant, constant, 2)
    assert bool((head.weight[:, -1] == 0).all())
    broken = LabelledFeatures(torch.full((10, 3), math.nan), torch.arange(10) % 2)
    with pytest.raises(TrainingError, match="damaged"):
        fit_logistic_regression(broken, broken, 2)
