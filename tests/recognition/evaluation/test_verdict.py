"""The rules of the verdict, at their edges."""

import pytest

from diptych.metrics.intervals import wilson_interval
from diptych.recognition.evaluation.verdict import Evidence, recognizer_verdict
from diptych.report import Score


def share(hits: int, n: int) -> Score:
    return Score(hits / n, *wilson_interval(hits, n), n)


def verdict(
    hits: int, n: int, *, guessing: float = 0.5, calibration_error: float = 0.02, trained_on: int = 0, **recalls
):
    classes = recalls or {"cat": share(hits, n), "dog": share(hits, n)}
    return recognizer_verdict(Evidence(share(hits, n), guessing, calibration_error, classes, trained_on))


@pytest.mark.parametrize(
    ("hits", "n", "word"),
    [
        (200, 400, "guessing"),  # 50 %
        (219, 400, "guessing"),  # 54.8 %, but from 49.9 % on
        (221, 400, "weak"),  # 55.3 %, from 50.3 % on
        (315, 400, "weak"),  # 78.8 %
        (320, 400, "useful"),  # 80.0 %, from 75.8 % on
        (379, 400, "useful"),  # 94.8 %
        (380, 400, "reliable"),  # 95.0 %, from 92.4 % on
        (400, 400, "reliable"),
    ],
)
def test_the_accuracy_decides_first(hits: int, n: int, word: str) -> None:
    assert verdict(hits, n).word == word


def test_few_pictures_prove_little() -> None:
    assert verdict(7, 10).word == "too_few"  # better than guessing, as far as ten pictures can tell
    assert verdict(5, 10).word == "guessing"
    assert verdict(10, 10).word == "promising"  # all right, yet from 72 % on
    assert verdict(20, 20).word == "useful"
    assert verdict(40, 40).word == "reliable"
    assert "20 pictures are few" in verdict(20, 20).reason
    assert "few" not in verdict(50, 50).reason


def test_few_pictures_whose_interval_reaches_far_enough_are_promising() -> None:
    answer = verdict(26, 30)  # 86.7 %
    assert answer.word == "promising"
    assert "between 70% and 95% are right" in answer.sentence
    assert "86.7% of 30 held-out pictures are right (70.3% to 94.7%)" in answer.reason
    assert "diptych evaluate MODEL OTHER-PICTURES" in answer.next_step
    assert "add pictures" in answer.next_step
    assert verdict(23, 30).word == "promising"  # 76.7 %, up to 88 %
    assert verdict(20, 30, guessing=0.3).word == "promising"  # 66.7 %, up to 80.8 %
    assert verdict(19, 30, guessing=0.3).word == "weak"  # up to 78.1 %
    assert verdict(49, 60).word == "promising"  # 81.7 %, from 70.1 % on
    assert verdict(47, 60).word == "weak"  # 78.3 %: not few, and under 80 %
    assert verdict(325, 400).word == "useful"  # 81.3 %, from 77.1 % on


def test_an_interval_that_ends_at_guessing_may_still_reach_far_enough() -> None:
    assert verdict(93, 100, guessing=0.9).word == "too_few"  # 86.3 % to 96.6 %
    assert verdict(372, 400, guessing=0.9).word == "weak"  # 90.1 % to 95.1 %


def test_a_recognizer_that_only_pictures_are_missing_for_is_to_be_measured_on_others() -> None:
    few = verdict(30, 31)  # 96.8 %, from 83.8 % on
    assert few.word == "useful"
    assert "31 pictures are too few to tell: of others, only 84% may be right" in few.reason
    assert "diptych evaluate MODEL OTHER-PICTURES" in few.next_step
    assert "--more" not in few.next_step
    assert "wrong in 10.0% of the pictures" in verdict(360, 400).reason
    assert "--more" in verdict(360, 400).next_step


def test_guessing_is_always_naming_the_commonest_class() -> None:
    assert verdict(380, 400, guessing=0.95).word == "guessing"
    assert verdict(390, 400, guessing=0.95).word == "useful"  # half of the errors of guessing
    assert verdict(389, 400, guessing=0.95).word == "weak"
    assert verdict(20, 400, guessing=0.02).word == "weak"
    assert "commonest class would give 95.0%" in verdict(380, 400, guessing=0.95).reason


def test_a_reliable_recognizer_recognises_every_class() -> None:
    recalls = {"cat": share(388, 390), "dog": share(5, 10)}
    neglected = verdict(393, 400, **recalls)
    assert neglected.word == "useful"
    assert "of dog it recognises only 50% (10 pictures)" in neglected.reason
    assert verdict(393, 400, cat=share(386, 390), dog=share(7, 10)).word == "reliable"  # 7 of 10 may be 80 %


def test_a_reliable_recognizer_has_honest_confidence() -> None:
    assert verdict(392, 400, calibration_error=0.1).word == "reliable"
    dishonest = verdict(392, 400, calibration_error=0.12)
    assert dishonest.word == "useful"
    assert "its confidence is off by 12% on average" in dishonest.reason


def test_training_pictures_prove_nothing() -> None:
    answer = verdict(400, 400, trained_on=3)
    assert answer.word == "not_held_out"
    assert answer.reason.startswith("3 or more of the 400 pictures are training pictures")


def test_every_verdict_names_a_command() -> None:
    answers = [verdict(200, 400), verdict(250, 400), verdict(340, 400), verdict(399, 400), verdict(7, 10)]
    assert len({answer.word for answer in answers}) == 5
    for answer in [*answers, verdict(9, 9, trained_on=1)]:
        assert "diptych " in answer.next_step
        assert answer.sentence.endswith(".")
        assert "%" in answer.reason or answer.word == "not_held_out"
