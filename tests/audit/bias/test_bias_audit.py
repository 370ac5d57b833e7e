"""The audit of a recognizer that has learned a planted shortcut, of one that has not, and what is refused."""

import json

import numpy as np
import pytest

from diptych import audit
from diptych.data.combine import without_groups
from diptych.data.images import Images
from diptych.data.training_digests import trained_on
from diptych.errors import DataError, UsageError
from diptych.recognition.recognizer import Recognizer
from tests.audit.planted import coloured_digits, noise, shuffled_rows

ROWS = shuffled_rows()
TEST = ROWS[1000:]


@pytest.fixture(scope="module")
def biased() -> Recognizer:
    return Recognizer("convnet", size=8, epochs=8).fit(coloured_digits(ROWS[:1000], 0.95, 0))


@pytest.fixture(scope="module")
def report(biased):
    return audit.bias(biased, coloured_digits(TEST, 0.5, 1))


def test_a_planted_shortcut_is_the_verdict_with_its_worst_group(report):
    assert report.verdict.word == "shortcut"
    assert report.verdict.sentence == "Learned a shortcut: the background."
    worst = report.facts["shortcuts"][0]["worst group"]
    assert {worst["class"], worst["speaks for"]} == {"low", "high"}
    assert worst["accuracy"] < 0.5
    assert report.scores["worst_group_accuracy"].value == worst["accuracy"]
    assert "--group background --remedy balanced" in report.verdict.next_step


def test_the_shortcut_is_shown_as_pictures_that_have_it_and_pictures_that_do_not(report):
    captions = [caption for caption in report.figures if caption.startswith("The background speaks")]
    assert len(captions) == 2
    for caption in captions:
        gallery = report.figures[caption]
        assert len(gallery.pictures) == len(gallery.captions) == 12
        assert all(lines[0].startswith("labelled ") for lines in gallery.captions)


def test_tables_are_folded_and_the_report_is_json_without_nan(report):
    assert {"What each property alone tells", "Scores by background"} <= report.rare
    assert json.loads(json.dumps(report.json(), allow_nan=False))["verdict"] == "shortcut"
    page = report.html()
    assert page.index("Learned a shortcut") < page.index("<details>")


def test_a_biased_set_without_the_column_shows_it_too(biased):
    report = audit.bias(biased, without_groups(coloured_digits(TEST, 0.95, 2)))
    assert report.verdict.word == "shortcut"
    assert any("no metadata columns" in finding for finding in report.findings)


def test_too_few_pictures_are_too_few_to_say(biased):
    report = audit.bias(biased, coloured_digits(TEST[:40], 0.5, 3))
    assert report.verdict.word == "too_few"
    assert "40 pictures" in report.verdict.reason


def test_pictures_that_were_trained_on_are_left_out(biased):
    training = coloured_digits(ROWS[:1000], 0.95, 0)
    known = training[trained_on(training, biased.training_digests)][:60]  # others were held out for validation
    report = audit.bias(biased, known + coloured_digits(TEST[:100], 0.5, 4))
    assert report.facts["pictures"] == 100
    assert "trained on 60 of the 160 pictures" in report.findings[0]
    with pytest.raises(DataError, match="trained on all of these pictures"):
        audit.bias(biased, known)


@pytest.mark.parametrize("origin", ["synthetic", "composite"])
def test_generated_pictures_are_refused_by_name(biased, origin):
    real = coloured_digits(TEST[:60], 0.5, 5)
    origins = np.where(np.arange(60) == 7, origin, "real")
    with pytest.raises(DataError, match=r"(?s)(array#7.*generated|generated.*array#7)"):
        audit.bias(biased, real.with_metadata(origins=origins))


def test_what_cannot_be_audited_is_refused(biased):
    with pytest.raises(UsageError, match="seen and number are for synthesizers"):
        audit.bias(biased, coloured_digits(TEST[:60], 0.5, 6), number=50)
    with pytest.raises(UsageError, match="no column 'camera'"):
        audit.bias(biased, coloured_digits(TEST[:60], 0.5, 6), groups=["camera"])
    with pytest.raises(UsageError, match="this is something else"):
        audit.bias("model", coloured_digits(TEST[:60], 0.5, 6))
    several = Images.from_arrays(noise(60, 8, 0), np.ones((60, 2), bool), classes=("low", "high"))
    with pytest.raises(UsageError, match="one label a picture"):
        audit.bias(biased, several)
