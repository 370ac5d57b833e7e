import pytest
import torch

from diptych.metrics.classification import expected_calibration_error
from diptych.recognition.confidence import temperature


def drawn(n: int, classes: int, sharpness: float):
    """Logits that are too sharp by a known factor, and labels drawn from the honest ones."""
    draw = torch.Generator().manual_seed(0)
    honest = torch.randn(n, classes, generator=draw) * 2
    labels = torch.multinomial(honest.softmax(1), 1, generator=draw).flatten()
    return honest * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.05, 1.0, 4.0])
def test_the_temperature_undoes_a_known_sharpness(sharpness):
    logits, labels = drawn(4000, 5, sharpness)
    assert temperature.fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.08)


def test_it_lowers_the_calibration_error():
    logits, labels = drawn(2000, 5, 3.0)
    error = []
    for t in (1.0, temperature.fit_temperature(logits, labels)):
        sure, guess = temperature.probabilities(logits, t).max(1)
        error.append(expected_calibration_error(sure, guess == labels))
    assert error[1] < 0.04 < error[0]


def test_answers_that_are_all_right_do_not_make_for_certainty():
    labels = torch.arange(30) % 3
    logits = torch.nn.functional.one_hot(labels, 3) * 4.0
    sure = temperature.probabilities(logits, temperature.fit_temperature(logits, labels)).amax(1)
    assert (sure < 1 - 1 / 60).all()
    assert (sure > 0.9).all()


def test_several_labels():
    draw = torch.Generator().manual_seed(1)
    honest = torch.randn(3000, 4, generator=draw) * 2
    labels = torch.rand(3000, 4, generator=draw) < honest.sigmoid()
    assert temperature.fit_temperature(honest * 3, labels) == pytest.approx(3, rel=0.08)


def f1(truth, guess):
    return 2 * (truth & guess).sum(0) / (truth.sum(0) + guess.sum(0)).clamp(min=1)


def test_the_thresholds_of_labels_raise_f1():
    draw = torch.Generator().manual_seed(3)
    chances = torch.rand(4000, 2, generator=draw) ** torch.tensor([1.0, 6.0])  # the second is rare
    truth = torch.rand(4000, 2, generator=draw) < chances
    thresholds = temperature.fit_label_thresholds(chances[:2000], truth[:2000])
    fair, chosen = chances[2000:] >= 0.5, chances[2000:] >= thresholds
    assert (f1(truth[2000:], chosen) > f1(truth[2000:], fair)).all()
    assert (thresholds < 0.5).all()  # half of the best F1 that can be had: Lipton et al. 2014
    assert thresholds.tolist() == pytest.approx((f1(truth, chances >= thresholds) / 2).tolist(), abs=0.06)


def test_of_few_examples_no_wild_threshold_is_made():
    chances = torch.linspace(0.01, 0.99, 50)[:, None]
    truth = torch.zeros(50, 1, dtype=torch.bool)
    assert temperature.fit_label_thresholds(chances, truth).item() == 0.5
    truth[48] = True  # alone it would call for a threshold of 0.96
    assert 0.25 < temperature.fit_label_thresholds(chances, truth).item() < 0.6


def test_of_thresholds_that_serve_alike_the_even_one_is_taken():
    chances = torch.tensor([0.02, 0.05, 0.93, 0.97] * 10)[:, None]
    assert temperature.fit_label_thresholds(chances, chances > 0.5).item() == 0.5
