import math
import time

import pytest
import torch
from sklearn.linear_model import LogisticRegression as Reference

from diptych.errors import TrainingError
from diptych.recognition.training.transfer import logistic_regression
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LogisticRegression


def clouds(n, classes, seed, apart=2.0, width=12):
    """Features of overlapping clouds, with a mean far from 0, and their labels."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99)) * apart
    labels = torch.randint(0, classes, (n,), generator=draw)
    features = centres[labels] + torch.randn(n, width, generator=draw)
    return LabelledFeatures(features * 30 + 50, labels)


def test_it_is_the_regression_that_scikit_learn_finds(monkeypatch):
    monkeypatch.setattr(logistic_regression, "PENALTIES", (0.1,))
    training, validation = clouds(400, 3, 0, apart=0.7), clouds(200, 3, 1, apart=0.7)
    _, head = LogisticRegression(training, 3).search(validation)
    mean = training.features.mean(0)
    deviation = (training.features - mean).square().mean().sqrt()
    reference = Reference(C=1 / (0.1 * 400), max_iter=1000, tol=1e-8)
    reference.fit((training.features - mean) / deviation, training.labels)
    expected = torch.from_numpy(reference.predict_proba((validation.features - mean) / deviation)).float()
    assert torch.allclose(head.logits(validation.features).softmax(1), expected, atol=2e-3)


def test_the_penalty_is_the_one_that_fits_other_pictures_best():
    training, validation = clouds(60, 3, 0, apart=0.4, width=40), clouds(2000, 3, 1, apart=0.4, width=40)
    strong, _ = LogisticRegression(training, 3).search(validation)
    weak, _ = LogisticRegression(clouds(20000, 3, 2, apart=0.4, width=40), 3).search(validation)
    assert strong > 10 * weak


def test_a_balanced_fit_recognises_a_rare_class():
    def uneven(seed):
        labelled = clouds(4000, 2, seed, apart=0.35)
        keep = (labelled.labels == 0) | (torch.arange(4000) % 40 == 0)
        return LabelledFeatures(labelled.features[keep], labelled.labels[keep])

    training, validation, even = uneven(0), uneven(1), clouds(2000, 2, 2, apart=0.35)
    rare = even.labels == 1
    recall = {
        b: LogisticRegression(training, 2, balanced=b)
        .search(validation)[1]
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
    _, head = LogisticRegression(multi_label, 3).search(multi_label)
    assert ((head.logits(multi_label.features) > 0) == multi_label.labels.bool()).float().mean() > 0.95


def test_when_time_is_up_the_search_ends():
    labelled = clouds(100, 2, 0)
    penalty, _ = LogisticRegression(labelled, 2).search(labelled, until=time.monotonic() - 1)
    assert penalty == logistic_regression.PENALTIES[0]


def test_constant_features_do_no_harm():
    labelled = clouds(100, 2, 0)
    constant = LabelledFeatures(torch.cat((labelled.features, torch.full((100, 1), 7.0)), 1), labelled.labels)
    _, head = LogisticRegression(constant, 2).search(constant)
    assert head.weight[:, -1].abs().max() < 1e-6
    broken = LabelledFeatures(torch.full((10, 3), math.nan), torch.arange(10) % 2)
    with pytest.raises(TrainingError, match="damaged"):
        LogisticRegression(broken, 2)
