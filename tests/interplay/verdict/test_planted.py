"""Planted synthesizers: new real pictures in secret are recommended, the training pictures again and noise are not."""

import importlib
import json
from pathlib import Path

import pytest

from diptych.data.images import Images
from diptych.interplay.verdict.learner import Length
from diptych.interplay.verdict.verdict import Plan, carry_out
from diptych.progress import Bar
from tests.interplay.verdict.judging import PixelRegression

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
PLAN = Plan(length=Length(100, 32), learner=PixelRegression(10))
SHARES = (0.08, 0.32, 0.6)  # so few pictures that more of them help beyond doubt


@pytest.fixture(scope="module")
def planted():
    """PICTURES, the secret pool and TEST, and the module of planted synthesizers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        module = importlib.import_module("planted_verdicts")
    return *Images.open("digits").split(*SHARES, seed=3), module


def judged(pictures, synthesizer, test, folder):
    with Bar("Judging", 1) as bar:
        return carry_out(pictures, synthesizer, test, folder, PLAN, bar)


def test_one_that_brings_new_real_pictures_in_secret_is_recommended(planted, tmp_path):
    pictures, pool, test, module = planted
    report = judged(pictures, module.Secret(pool), test, tmp_path)
    assert report.verdict.word == "recommended"
    assert report.verdict.sentence.startswith("Yes: synthetic pictures help here (+")
    assert "diptych balance DATA MODEL --per-class " in report.verdict.next_step
    found = json.loads((tmp_path / "verdict.json").read_text())
    assert found["gain"]["low"] > 0
    assert found["arms"]["synthetic-3"]["gain"]["value"] > 0.02
    assert found["learning_curve"]["gain_of_twice_as_many"]["low"] > 0
    assert (tmp_path / "report.html").read_text() == report.html()
    assert list((tmp_path / "progress").glob("run-*")) == []  # the trained arms are of no more use


def test_one_that_repeats_the_training_pictures_is_not_though_it_had_seen_all_pictures(planted, tmp_path):
    pictures, _, test, module = planted
    report = judged(pictures, module.Repeats(pictures), test, tmp_path)
    assert report.verdict.word == "not_recommended"
    assert report.verdict.sentence.startswith("No: synthetic pictures did not help here (")
    assert any("trained again" in finding for finding in report.findings)


def test_one_that_makes_noise_is_not(planted, tmp_path):
    pictures, pool, test, module = planted
    report = judged(pictures, module.Noise(pool), test, tmp_path)
    assert report.verdict.word == "not_recommended"
    assert any("The filter dropped every generated picture" in f for f in report.findings) or any(
        "The filter kept" in finding for finding in report.findings
    )
