import pytest
import torch

from diptych.metrics.classification import expected_calibration_error
from diptych.recognition import calibration


def drawn(n: int, classes: int, sharpness: float):
    """Logits that are too sharp by a known factor, and labels drawn from the honest ones."""
    draw = torch.Generator().manual_seed(0)
    honest = torch.randn(n, classes, generator=draw) * 2
    labels = torch.multinomial(honest.softmax(1), 1, generator=draw).flatten()
    return honest * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.05, 1.0, 4.0])
def test_the_temperature_undoes_a_known_sharpness(sharpness):
    logits, labels = drawn(4000, 5, sharpness)
    assert calibration.temperature(logits, labels) == pytest.approx(sharpness, rel=0.08)


def test_it_lowers_the_calibration_error():
    logits, labels = drawn(2000, 5, 3.0)
    error = []
    for t in (1.0, calibration.temperature(logits, labels)):
        sure, guess = calibration.probabilities(logits, t).max(1)
        error.append(expected_calibration_error(sure, guess == labels))
    assert error[1] < 0.04 < error[0]


def test_answers_that_are_all_right_do_not_make_for_certainty():
    labels = torch.arange(30) % 3
    logits = torch.nn.functional.one_hot(labels, 3) * 4.0
    sure = calibration.probabilities(logits, calibration.temperature(logits, labels)).amax(1)
    assert (sure < 1 - 1 / 60).all()
    assert (sure > 0.9).all()


def test_several_labels():
    draw = torch.Generator().manual_seed(1)
    honest = torch.randn(3000, 4, generator=draw) * 2
    labels = torch.rand(3000, 4, generator=draw) < honest.sigmoid()
    assert calibration.temperature(honest * 3, labels) == pytest.approx(3, rel=0.08)


def test_familiarity_is_the_negative_energy():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    assert calibration.familiarity(logits, multi_label=False).item() == pytest.approx(3.4076, abs=1e-4)
    several = torch.log1p(logits.exp()).sum().item()
    assert calibration.familiarity(logits, multi_label=True).item() == pytest.approx(several, abs=1e-4)


def test_one_in_a_hundred_falls_under_the_threshold():
    known = torch.randn(2000, generator=torch.Generator().manual_seed(2)).exp()  # few are much lower than most
    assert calibration.familiarity_threshold(-known) == pytest.approx((-known).quantile(0.01).item(), abs=1e-5)


def test_of_few_pictures_the_threshold_lies_under_the_least():
    known = torch.linspace(0, 1, 10)
    assert -0.5 < calibration.familiarity_threshold(known) < 0
