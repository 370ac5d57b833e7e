"""Recognizers: one that has learned its pictures by heart is flagged, one that has not is not; canaries; refusals."""

import importlib
import json
import re
from pathlib import Path

import pytest

from diptych import audit
from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.recognition.recognizer import Recognizer
from tests.audit.planted import shuffled_rows

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    planted_privacy = importlib.import_module("planted_privacy")

DIGITS = Images.open("digits")
ROWS = shuffled_rows(3)
TINTED = planted_privacy.tinted(400, 0)
HEART_SEEN, HEART_UNSEEN, HEART_VALIDATION = TINTED[:60], TINTED[60:260], TINTED[300:]
SEEN, UNSEEN = DIGITS[ROWS[:400]], DIGITS[ROWS[400:900]]


@pytest.fixture(scope="module")
def by_heart():
    """The audit of a recognizer that could only learn the labels of its pictures by heart."""
    model = Recognizer(planted_privacy.Waves, size=8, epochs=40, batch=60, imbalance="none")
    model.fit(HEART_SEEN, validate=HEART_VALIDATION)
    return audit.privacy(model, seen=HEART_SEEN, unseen=HEART_UNSEEN, references=2)


@pytest.fixture(scope="module")
def clean() -> Recognizer:
    return Recognizer("convnet", size=8, epochs=3, imbalance="none").fit(SEEN)


def test_a_recognizer_that_learned_by_heart_leaks(by_heart):
    assert by_heart.verdict.word == "leaks"
    found, alarms = by_heart.scores["training_pictures_found"], by_heart.scores["false_alarms"]
    assert found.n == 60
    assert alarms.n == 100
    assert found.low > max(alarms.high, 0.01)
    assert "--epsilon 8" in by_heart.verdict.next_step


def test_single_pictures_are_not_shown_where_the_references_do_not_support_it(by_heart):
    assert any("16 reference models at least" in finding for finding in by_heart.findings)
    assert not any("at risk" in caption for caption in by_heart.figures)


def test_small_classes_are_too_few_and_averages_are_folded_away(by_heart):
    rows = by_heart.tables["What an attacker finds of each class, at the threshold of all"].rows
    assert {row[-1] for row in rows} == {"too few to say"}
    assert "auroc" in by_heart.rare
    page = by_heart.html()
    assert page.index("Leaks who was trained on") < page.index("<details>")
    assert json.loads(json.dumps(by_heart.json(), allow_nan=False))["verdict"] == "leaks"


def test_a_recognizer_that_did_not_raises_no_alarm_and_its_canaries_bound_nothing(clean):
    report = audit.privacy(clean, seen=SEEN, unseen=UNSEEN, references=2, canaries=60)
    assert report.verdict.word == "no_sign"
    assert report.scores["epsilon_at_least"].value < 1
    assert report.facts["canaries"]["epsilon promised"] is None
    assert "by its own record" in report.findings[0]  # those that fit held out
    assert report.facts["training pictures"] < len(SEEN)


def test_too_few_pictures_are_too_few_to_say_and_nothing_is_trained(clean):
    report = audit.privacy(clean, seen=SEEN, unseen=UNSEEN[:150])
    assert report.verdict.word == "too_few"
    assert "150 others; an audit needs 50 and 200" in report.verdict.reason


def test_a_few_known_pictures_of_the_unseen_set_are_left_out(clean):
    report = audit.privacy(clean, seen=SEEN, unseen=UNSEEN[:150] + SEEN[:10])  # of which it held some out
    assert 150 <= int(re.search(r"and (\d+) others", report.title)[1]) < 160
    assert any("of the unseen set" in finding and "left out" in finding for finding in report.findings)


def test_pictures_on_the_wrong_side_are_refused_by_the_models_own_record(clean):
    with pytest.raises(DataError, match=r"was trained on \d+ pictures of the unseen set"):
        audit.privacy(clean, seen=SEEN, unseen=SEEN)
    with pytest.raises(DataError, match="trained on none of the pictures of the seen set"):
        audit.privacy(clean, seen=UNSEEN, unseen=UNSEEN)


def test_what_is_not_for_a_recognizer_is_refused(clean):
    with pytest.raises(UsageError, match="samples is for synthesizers"):
        audit.privacy(clean, seen=SEEN, unseen=UNSEEN, number=100)
    with pytest.raises(UsageError, match="at most half of them"):
        audit.privacy(clean, seen=SEEN, unseen=UNSEEN, references=2, canaries=400)
