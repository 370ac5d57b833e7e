"""Attacks by known scores: classes, single pictures, and the control that tells two sets of other origins apart."""

import numpy as np
import pytest

from diptych.audit.privacy.at_risk import pictures_at_risk
from diptych.audit.privacy.attacks import attack, class_rates, sets_differ
from diptych.audit.privacy.candidates import Candidates
from diptych.audit.privacy.membership_report import AT_RISK, add_pictures_at_risk
from diptych.audit.privacy.references import References, check_number
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.report import Report
from tests.audit.planted import noise

MEMBERS, OTHERS = 240, 400


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    labels = np.arange(MEMBERS + OTHERS) % 8 // 7  # an eighth are of class 1
    images = Images.from_arrays(noise(MEMBERS + OTHERS, 8, 0), labels, classes=("usual", "rare"))
    return Candidates(images, np.arange(MEMBERS + OTHERS) < MEMBERS)


def scores(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(MEMBERS + OTHERS)


def references(number: int, known: dict[int, float]) -> References:
    """Log probabilities without any trace of training but for some rows, by how much they rise."""
    draw = np.random.default_rng(1)
    trained = np.empty((number, MEMBERS + OTHERS), bool)
    for pair in range(number // 2):
        trained[2 * pair] = draw.random(MEMBERS + OTHERS) < 0.5
        trained[2 * pair + 1] = ~trained[2 * pair]
    signals = np.log(0.1) + 0.1 * draw.standard_normal(trained.shape)
    for row, rise in known.items():
        signals[:, row] += rise * trained[:, row]
    return References(signals, trained)


def test_scores_by_chance_are_no_leak_and_two_attempts_have_wider_intervals(candidates):
    once, twice = (attack("chance", scores(2), candidates, 0, attempts) for attempts in (1, 2))
    assert not once.leaks
    assert twice.rates[0].true_positive_interval[1] > once.rates[0].true_positive_interval[1]
    assert [rates.allowed for rates in once.rates] == [0.01]


def test_a_class_that_leaks_is_found_and_a_small_one_is_too_few(candidates):
    raised = scores(3)
    usual = np.flatnonzero(candidates.members & (candidates.images.labels == 0))
    raised[usual[::3]] += 8
    rows = {row.name: row for row in class_rates(attack("planted", raised, candidates, 0), candidates)}
    assert rows["usual"].rates.leaks
    assert rows["rare"].rates is None
    assert rows["rare"].members == MEMBERS // 8


def test_pictures_at_risk_need_sixteen_references(candidates):
    known = {3: 2.0, 5: 2.2}
    assert pictures_at_risk(references(4, known), candidates) is None
    at_risk = pictures_at_risk(references(16, known), candidates)
    assert [picture.row for picture in at_risk] == [5, 3]
    assert at_risk[0].not_trained == pytest.approx(0.1, abs=0.02)
    assert at_risk[0].trained > 0.6
    report = Report("Privacy")
    add_pictures_at_risk(report, at_risk, candidates)
    assert report.findings[0].startswith("2 of the 240 training pictures are known by heart")
    captions = report.figures[AT_RISK].captions
    assert captions[0][0] == "usual"
    assert captions[0][1].startswith("trained on: ")
    assert captions[0][2] == "not: 10%"
    add_pictures_at_risk(report, [], candidates)
    assert report.findings[1] == "No single picture is known by heart beyond chance."


def test_sets_that_models_trained_on_neither_tell_apart_differ(candidates):
    alike = references(4, {})
    assert not sets_differ(alike, candidates, 0)
    shifted = alike.signals.copy()
    shifted[0, :MEMBERS] += 3  # one reference knows the seen set, whether it was trained on a picture or not
    assert sets_differ(References(shifted, alike.trained), candidates, 0)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_references_come_in_pairs(number):
    with pytest.raises(UsageError, match="even and at least 2"):
        check_number(number)
