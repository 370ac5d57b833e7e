import pytest
import torch

from diptych.metrics.classification import expected_calibration_error
from diptych.recognition.confidence import temperature


def sharpened(n: int, classes: int, sharpness: float):
    """Logits that are too sharp by a known factor, and labels drawn from calibrated ones."""
    draw = torch.Generator().manual_seed(0)
    calibrated = torch.randn(n, classes, generator=draw) * 2
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=draw).flatten()
    return calibrated * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.05, 1.0, 4.0])
def test_the_temperature_undoes_a_known_sharpness(sharpness):
    logits, labels = sharpened(4000, 5, sharpness)
    assert temperature.fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.08)


def test_the_temperature_lowers_the_calibration_error():
    logits, labels = sharpened(2000, 5, 3.0)
    errors = []
    for t in (1.0, temperature.fit_temperature(logits, labels)):
        confidence, predicted = temperature.probabilities(logits, t).max(1)
        errors.append(expected_calibration_error(confidence, predicted == labels))
    assert errors[1] < 0.04 < errors[0]


def test_correct_predictions_alone_do_not_give_certainty():
    labels = torch.arange(30) % 3
    logits = torch.nn.functional.one_hot(labels, 3) * 4.0
    confidence = temperature.probabilities(logits, temperature.fit_temperature(logits, labels)).amax(1)
    assert (confidence < 1 - 1 / 60).all()
    assert (confidence > 0.9).all()


def test_several_labels():
    draw = torch.Generator().manual_seed(1)
    calibrated = torch.randn(3000, 4, generator=draw) * 2
    labels = torch.rand(3000, 4, generator=draw) < calibrated.sigmoid()
    assert temperature.fit_temperature(calibrated * 3, labels) == pytest.approx(3, rel=0.08)


def f1(targets, predicted):
    return 2 * (targets & predicted).sum(0) / (targets.sum(0) + predicted.sum(0)).clamp(min=1)


def test_label_thresholds_raise_f1():
    draw = torch.Generator().manual_seed(3)
    probabilities = torch.rand(4000, 2, generator=draw) ** torch.tensor([1.0, 6.0])  # the second is rare
    targets = torch.rand(4000, 2, generator=draw) < probabilities
    thresholds = temperature.fit_label_thresholds(probabilities[:2000], targets[:2000])
    at_half, fitted = probabilities[2000:] >= 0.5, probabilities[2000:] >= thresholds
    assert (f1(targets[2000:], fitted) > f1(targets[2000:], at_half)).all()
    assert (thresholds < 0.5).all()  # half of the best possible F1: Lipton et al. 2014
    assert thresholds.tolist() == pytest.approx((f1(targets, probabilities >= thresholds) / 2).tolist(), abs=0.06)


def test_few_examples_do_not_give_an_extreme_threshold():
    probabilities = torch.linspace(0.01, 0.99, 50)[:, None]
    targets = torch.zeros(50, 1, dtype=torch.bool)
    assert temperature.fit_label_thresholds(probabilities, targets).item() == 0.5
    targets[48] = True  # by itself it would give a threshold of 0.96
    assert 0.25 < temperature.fit_label_thresholds(probabilities, targets).item() < 0.6


def test_of_equally_good_thresholds_the_nearest_to_half_is_taken():
    probabilities = torch.tensor([0.02, 0.05, 0.93, 0.97] * 10)[:, None]
    assert temperature.fit_label_thresholds(probabilities, probabilities > 0.5).item() == 0.5
