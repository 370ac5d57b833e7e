import numpy as np

from diptych.report import confidence_figures

DRAW = np.random.default_rng(0)


def test_figures_are_drawn_and_the_same_each_time():
    confidence = DRAW.random(500)
    correct = DRAW.random(500) < confidence
    for draw in (
        lambda: confidence_figures.reliability(confidence, correct),
        lambda: confidence_figures.confidence_histogram(confidence),
        lambda: confidence_figures.risk_coverage(np.linspace(0.002, 1, 500), np.linspace(0, 0.3, 500)),
        lambda: confidence_figures.familiarity(DRAW.normal(size=3) * 0 - 1, np.full(5, -300.0), -8.0),
    ):
        figure = draw()
        assert figure.startswith(b"<?xml")
        assert figure == draw()


def test_the_reliability_diagram_has_a_bar_for_each_tenth_that_occurs():
    one_bar, ten_bars = (
        confidence_figures.reliability(confidence, np.ones(10, bool))
        for confidence in (np.full(10, 0.95), np.arange(10) / 10)
    )
    assert len(ten_bars) > len(one_bar)
    assert b"correct" in one_bar


def test_a_single_prediction_is_drawn():
    assert b"confidence" in confidence_figures.reliability(np.ones(1), np.ones(1, bool))
    assert b"errors" in confidence_figures.risk_coverage(np.ones(1), np.zeros(1))
