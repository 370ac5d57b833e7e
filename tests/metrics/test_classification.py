"""Our scores against scikit-learn's, on random predictions with classes missing among targets or predictions."""

import pytest
import torch
from sklearn import metrics as sk

from diptych.metrics import classification as ours


@pytest.fixture(params=range(4))
def predictions(request):
    draw = torch.Generator().manual_seed(request.param)
    targets = torch.randint(0, 5, (60,), generator=draw)
    predicted = torch.randint(
        1, 6, (60,), generator=draw
    )  # class 0 never predicted, class 5 never true, class 6 neither
    predicted[:30] = targets[:30]
    return targets, predicted


@pytest.fixture
def multi_label():
    draw = torch.Generator().manual_seed(7)
    targets = torch.rand(50, 4, generator=draw) < 0.4
    predicted = targets ^ (torch.rand(50, 4, generator=draw) < 0.2)
    targets[:, 3] = predicted[:, 3] = False
    return targets, predicted


def test_accuracy(predictions):
    targets, predicted = predictions
    assert ours.accuracy(targets, predicted) == pytest.approx(sk.accuracy_score(targets, predicted))


def test_balanced_accuracy(predictions):
    targets, predicted = predictions
    recall = sk.recall_score(targets, predicted, labels=list(range(5)), average="macro", zero_division=0)
    assert ours.balanced_accuracy(targets, predicted, 7) == pytest.approx(recall)


def test_confusion_matrix(predictions):
    targets, predicted = predictions
    expected = sk.confusion_matrix(targets, predicted, labels=list(range(7)))
    assert (ours.confusion_matrix(targets, predicted, 7).numpy() == expected).all()


def test_per_class(predictions):
    targets, predicted = predictions
    scores = ours.per_class_scores(ours.confusion_matrix(targets, predicted, 7))
    expected = sk.precision_recall_fscore_support(targets, predicted, labels=list(range(7)), zero_division=0)
    for values, reference in zip((scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True):
        assert values.double().tolist() == pytest.approx(reference.tolist())


def test_macro_f1_leaves_out_classes_that_do_not_occur(predictions):
    targets, predicted = predictions
    expected = sk.f1_score(targets, predicted, average="macro", zero_division=0)
    assert ours.macro_f1(targets, predicted, 7) == pytest.approx(expected)
    assert ours.macro_f1(targets, predicted) == pytest.approx(expected)


def test_multi_label_scores(multi_label):
    targets, predicted = multi_label
    expected = sk.f1_score(targets, predicted, average="macro", zero_division=0)
    assert ours.macro_f1(targets, predicted) == pytest.approx(expected)
    assert ours.accuracy(targets, predicted) == pytest.approx(sk.accuracy_score(targets, predicted))


def test_calibration_error_against_a_direct_loop():
    draw = torch.Generator().manual_seed(3)
    confidence = torch.rand(400, generator=draw)
    correct = torch.rand(400, generator=draw) < confidence**2
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            gap = correct[inside].double().mean() - confidence[inside].double().mean()
            expected += float(inside.double().mean() * gap.abs())
    assert ours.expected_calibration_error(confidence, correct) == pytest.approx(expected, abs=1e-6)


def test_calibration_error_of_confident_correct_predictions_is_zero():
    assert ours.expected_calibration_error(torch.ones(9), torch.ones(9, dtype=torch.bool)) == 0.0
