"""Our scores against scikit-learn's, on random answers with classes missing on either side."""

import pytest
import torch
from sklearn import metrics as sk

from diptych.metrics import classification as ours


@pytest.fixture(params=range(4))
def answers(request):
    draw = torch.Generator().manual_seed(request.param)
    truth = torch.randint(0, 5, (60,), generator=draw)
    guess = torch.randint(1, 6, (60,), generator=draw)  # class 0 never told, class 5 never true, class 6 neither
    guess[:30] = truth[:30]
    return truth, guess


@pytest.fixture
def several_labels():
    draw = torch.Generator().manual_seed(7)
    truth = torch.rand(50, 4, generator=draw) < 0.4
    guess = truth ^ (torch.rand(50, 4, generator=draw) < 0.2)
    truth[:, 3] = guess[:, 3] = False
    return truth, guess


def test_accuracy(answers):
    truth, guess = answers
    assert ours.accuracy(truth, guess) == pytest.approx(sk.accuracy_score(truth, guess))


def test_balanced_accuracy(answers):
    truth, guess = answers
    recall = sk.recall_score(truth, guess, labels=list(range(5)), average="macro", zero_division=0)
    assert ours.balanced_accuracy(truth, guess, 7) == pytest.approx(recall)


def test_confusion_matrix(answers):
    truth, guess = answers
    expected = sk.confusion_matrix(truth, guess, labels=list(range(7)))
    assert (ours.confusion_matrix(truth, guess, 7).numpy() == expected).all()


def test_per_class(answers):
    truth, guess = answers
    scores = ours.per_class(ours.confusion_matrix(truth, guess, 7))
    expected = sk.precision_recall_fscore_support(truth, guess, labels=list(range(7)), zero_division=0)
    for mine, theirs in zip((scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True):
        assert mine.double().tolist() == pytest.approx(theirs.tolist())


def test_macro_f1_leaves_out_classes_that_do_not_occur(answers):
    truth, guess = answers
    expected = sk.f1_score(truth, guess, average="macro", zero_division=0)
    assert ours.macro_f1(truth, guess, 7) == pytest.approx(expected)
    assert ours.macro_f1(truth, guess) == pytest.approx(expected)


def test_several_labels(several_labels):
    truth, guess = several_labels
    expected = sk.f1_score(truth, guess, average="macro", zero_division=0)
    assert ours.macro_f1(truth, guess) == pytest.approx(expected)
    assert ours.accuracy(truth, guess) == pytest.approx(sk.accuracy_score(truth, guess))


def test_calibration_error_against_a_direct_loop():
    draw = torch.Generator().manual_seed(3)
    confidence = torch.rand(400, generator=draw)
    right = torch.rand(400, generator=draw) < confidence**2
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            gap = right[inside].double().mean() - confidence[inside].double().mean()
            expected += float(inside.double().mean() * gap.abs())
    assert ours.expected_calibration_error(confidence, right) == pytest.approx(expected, abs=1e-6)


def test_calibration_error_of_sure_and_right_answers_is_zero():
    assert ours.expected_calibration_error(torch.ones(9), torch.ones(9, dtype=torch.bool)) == 0.0
