"""The rules by which synthetic pictures are recommended."""

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.interplay.verdict.answer import find_answer, verdict_of
from diptych.interplay.verdict.arms import BASELINE, CURVE, FILTERED, OVERSAMPLED, PRETRAINED, STRONG, SYNTHETIC
from diptych.interplay.verdict.parts import Parts
from diptych.interplay.verdict.study import ArmResult

TARGETS = np.repeat([0, 1], [400, 400])
SEEDS = 5


def pictures(labels):
    return Images.from_arrays(np.zeros((len(labels), 8, 8, 3), np.uint8), labels, classes=["cat", "dog"])


def parts(cats=40, dogs=40):
    training = pictures(np.repeat([0, 1], [cats, dogs]))
    return Parts(training, training, training, pictures(TARGETS), False)


def result(arm, cats=0.8, dogs=0.8, selection=0.8, seed=1):
    rng = np.random.default_rng(seed)
    shares = np.array([cats, dogs])[TARGETS]
    return ArmResult(arm, np.full(SEEDS, selection), rng.random((SEEDS, len(TARGETS))) < shares)


def answer_to(*changed, cats=40):
    """The answer where all arms are as good as the baseline, but for these."""
    arms = [BASELINE, OVERSAMPLED, STRONG, PRETRAINED, *SYNTHETIC, *FILTERED, *CURVE]
    by_arm = {each.arm: each for each in changed}
    results = [by_arm.get(arm) or result(arm, seed=i) for i, arm in enumerate(arms)]
    return find_answer(results, parts(cats))


def test_a_gain_beyond_chance_is_recommended():
    answer = answer_to(result(SYNTHETIC[1], cats=0.9, dogs=0.9, selection=0.9))
    assert answer.recommended
    assert verdict_of(answer).word == "recommended"
    assert verdict_of(answer).sentence.startswith("Yes: synthetic pictures help here (+")


def test_a_gain_within_chance_is_not_and_what_helped_is_named():
    answer = answer_to(result(PRETRAINED, cats=0.95, dogs=0.95, selection=0.95))
    verdict = verdict_of(answer)
    assert verdict.word == "not_recommended"
    assert verdict.sentence.startswith("No: synthetic pictures did not help here (")
    assert "the best on the pictures to choose by, pretrained features, helped: +1" in verdict.reason
    assert "--network lite0" in verdict.next_step


def test_where_drawing_the_scarce_more_often_helped_the_next_step_is_to_train_so():
    answer = answer_to(result(OVERSAMPLED, cats=0.95, dogs=0.95, selection=0.95))
    assert "--imbalance auto" in verdict_of(answer).next_step


def test_where_nothing_helps_that_is_said():
    assert ", did not help beyond chance: " in verdict_of(answer_to()).reason


def test_a_class_that_surely_loses_more_than_two_points_forbids_it():
    answer = answer_to(result(SYNTHETIC[2], cats=0.99, dogs=0.72, selection=0.9))
    assert answer.synthetic.gain.low > 0
    assert answer.losing == ["dog"]
    assert not answer.recommended
    assert "but harm dog." in verdict_of(answer).sentence


def test_where_classes_are_uneven_it_must_do_better_than_drawing_the_scarce_more_often():
    changed = [result(arm, cats=0.9, dogs=0.9, selection=0.9, seed=3) for arm in (OVERSAMPLED, SYNTHETIC[0])]
    assert answer_to(*changed).recommended  # classes are even, so that this is no other way
    uneven = answer_to(*changed, cats=8)
    assert not uneven.recommended
    assert "no more than drawing scarce classes more often" in verdict_of(uneven).sentence


def test_the_arm_is_chosen_by_the_selection_pictures_and_not_by_the_test():
    lucky = result(SYNTHETIC[0], cats=0.95, dogs=0.95, selection=0.7)
    chosen = result(SYNTHETIC[2], selection=0.85)
    answer = answer_to(lucky, chosen)
    assert answer.synthetic.arm == SYNTHETIC[2]
    assert not answer.recommended


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_models_that_are_never_or_always_right_are_no_failure(share):
    same = [result(arm, share, share) for arm in (BASELINE, *SYNTHETIC)]
    assert not answer_to(*same).recommended
