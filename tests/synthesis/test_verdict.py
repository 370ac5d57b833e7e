"""The rules of the verdict, at their edges."""

from dataclasses import replace

import pytest

from diptych.metrics.distribution import Distance
from diptych.metrics.prdc import PRDC
from diptych.synthesis import verdict as rules
from diptych.synthesis.verdict import Evidence, samples_verdict

REAL = PRDC(0.9, 0.8, 1.0, 0.95)
AS_REAL = Evidence(REAL, REAL, Distance(0.01, -0.01, 0.03), 500)


def with_shares(precision=1.0, recall=1.0, density=1.0, coverage=1.0):
    """Evidence whose neighbourhood scores are these shares of what real pictures reach."""
    shares = (precision, recall, density, coverage)
    return replace(AS_REAL, generated=PRDC(*(share * real for share, real in zip(shares, REAL, strict=True))))


def weakly(**shares):
    """The same before a weak judge."""
    return replace(with_shares(**shares), weakness="fixed random filters")


@pytest.mark.parametrize(
    ("evidence", "word"),
    [
        (AS_REAL, "close"),
        (with_shares(precision=rules.CLOSE_SHARE - 0.01), "recognisable"),
        (with_shares(recall=rules.CLOSE_SHARE - 0.01), "recognisable"),
        (with_shares(coverage=rules.CLOSE_SHARE - 0.01), "recognisable"),
        (replace(AS_REAL, distance=Distance(0.06, rules.CLOSE_DISTANCE + 0.001, 0.07)), "recognisable"),
        (replace(AS_REAL, distance=Distance(0.06, rules.CLOSE_DISTANCE, 0.07)), "close"),
        (replace(AS_REAL, usefulness=rules.CLOSE_SHARE - 0.01), "recognisable"),
        (replace(AS_REAL, usefulness=rules.CLOSE_SHARE), "close"),
        (with_shares(precision=rules.NOISE_PRECISION - 0.01), "noise"),
        (with_shares(precision=rules.NOISE_PRECISION + 0.01), "recognisable"),
        (weakly(density=rules.FAR_DENSITY - 0.01, coverage=rules.FAR_COVERAGE - 0.01), "noise"),
        (weakly(density=rules.FAR_DENSITY - 0.01, coverage=rules.FAR_COVERAGE + 0.01), "recognisable"),
        (weakly(density=rules.FAR_DENSITY + 0.01, coverage=rules.FAR_COVERAGE - 0.01), "recognisable"),
        (with_shares(density=rules.FAR_DENSITY - 0.01, coverage=rules.FAR_COVERAGE - 0.01), "recognisable"),
        (with_shares(precision=rules.PASSING_PRECISION - 0.01, recall=0, coverage=0.3), "recognisable"),
        (with_shares(precision=rules.PASSING_PRECISION + 0.01, recall=0, coverage=0.3), "repetitive"),
        (with_shares(recall=rules.LITTLE_RECALL - 0.01, coverage=rules.LITTLE_COVERAGE - 0.01), "repetitive"),
        (with_shares(recall=rules.LITTLE_RECALL + 0.01, coverage=rules.LITTLE_COVERAGE - 0.01), "recognisable"),
        (with_shares(recall=rules.LITTLE_RECALL - 0.01, coverage=rules.LITTLE_COVERAGE + 0.01), "recognisable"),
        (with_shares(recall=0, density=rules.FAR_DENSITY - 0.01, coverage=rules.FAR_COVERAGE - 0.01), "noise"),
        (with_shares(recall=0, density=rules.FAR_DENSITY + 0.01, coverage=rules.FAR_COVERAGE - 0.01), "repetitive"),
        (replace(with_shares(0, 0, 0, 0), repeated=rules.MAX_REPEATED), "repetitive"),
        (replace(AS_REAL, repeated=0.9, real_repeated=0.9), "close"),  # pictures of this kind are all alike
        (replace(AS_REAL, copied=0.02), "copies"),
        (replace(AS_REAL, copied=0.0), "close"),
        (replace(AS_REAL, copied=1.0, same=rules.SAME_SHARE), "same"),
        (replace(AS_REAL, same=rules.SAME_SHARE - 0.01), "close"),
        (replace(AS_REAL, weakness="fixed random filters"), "recognisable"),
        (replace(with_shares(0, 0, 0, 0), weakness="fixed random filters"), "noise"),
    ],
)
def test_each_rule_decides_from_its_threshold_on(evidence, word):
    assert samples_verdict(evidence).word == word


def test_nothing_real_reaches_is_asked_of_generated_pictures():
    nothing = PRDC(0, 0, 0, 0)
    assert samples_verdict(replace(AS_REAL, generated=nothing, real=nothing)).word == "close"


def test_the_reason_is_in_figures():
    assert samples_verdict(AS_REAL).reason.startswith("90% of the generated pictures look like a real one")
    assert "cover 19% of the real pictures (other real pictures cover 95%)" in (
        samples_verdict(with_shares(recall=0, coverage=0.2)).reason
    )
    assert samples_verdict(replace(AS_REAL, copied=0.024)).reason.startswith("2.4% of")
    edge = samples_verdict(weakly(density=0.2, coverage=0.1)).reason
    assert "They lie where few real pictures do (density 0.20 and coverage 0.10" in edge
    reasons = samples_verdict(replace(with_shares(precision=0.5), usefulness=0.4)).reason
    assert samples_verdict(with_shares(recall=0.5)).reason.startswith("They show part of the variety (recall 0.40")
    assert reasons.index("45% of the generated") < reasons.index("reaches 40% of the accuracy")


def test_a_weak_judge_and_few_pictures_are_named():
    weak = replace(AS_REAL, weakness="fixed random filters", pictures=rules.FEW_PICTURES - 1)
    assert (
        "A first impression only: the judge is weak (fixed random filters) and 99 pictures on a side are few."
        in samples_verdict(weak).reason
    )
    assert samples_verdict(weak).sentence == "Recognisable; how close to real is for a better judge to say."
    assert "better judge" in samples_verdict(weak).next_step
    limited = replace(AS_REAL, caveats=["The sizes differ."])
    assert samples_verdict(limited).reason.endswith("one real picture repeated. The sizes differ.")
    assert "impression" not in samples_verdict(replace(AS_REAL, pictures=rules.FEW_PICTURES)).reason
    assert "impression" not in samples_verdict(replace(weak, pictures=500, same=1.0)).reason  # no feature decided that


def test_the_next_step_is_a_command_for_this_kind_of_model():
    few = with_shares(recall=0, coverage=0.2)
    assert "diptych fit flow DATA -o NEW-MODEL --minutes 40" in samples_verdict(few, "gan", 10).next_step
    assert "diptych fit vae DATA -o MODEL --more 30" in samples_verdict(few, "vae", 10).next_step
    assert f"--more {rules.MIN_MINUTES:g}" in samples_verdict(with_shares(precision=0), "gan", None).next_step
    assert "diptych tune FLOW DATA -o NEW-MODEL --minutes 40" in samples_verdict(few, "flow", 10, tuned=True).next_step
    assert "diptych sample MODEL" in samples_verdict(AS_REAL, "flow", 1).next_step
    assert "--seen DATA" in samples_verdict(AS_REAL).next_step
    assert samples_verdict(replace(AS_REAL, copied=0.0)).next_step == "nothing is left to do."
    for word in ("same", "copies"):
        evidence = replace(AS_REAL, **{"same": {"same": 1.0}, "copies": {"copied": 1.0}}[word])
        for kind in (None, "gan"):
            assert "diptych " in samples_verdict(evidence, kind).next_step


def test_a_tuning_of_few_steps_is_not_offered_as_usable():
    assert rules.short_tuning_verdict(rules.MIN_TUNING_STEPS) is None
    verdict = rules.short_tuning_verdict(1)
    assert verdict.word == "too_short"
    assert "trained for 1 step;" in verdict.reason
    assert "diptych tune FLOW DATA" in verdict.next_step


def test_a_tuning_that_does_not_help_is_not_offered_as_an_improvement():
    assert rules.useless_tuning_verdict(0.4, 0.3, 5) is None
    for after in (0.4, 0.5):
        verdict = rules.useless_tuning_verdict(0.4, after, 5)
        assert verdict.word == "no_better"
        assert f"was 0.400 before and is {after:.3f} now" in verdict.reason
        assert "sample from that flow" in verdict.next_step
        assert "diptych tune FLOW DATA -o NEW-MODEL --minutes 20" in verdict.next_step
    assert "--minutes 10" in rules.useless_tuning_verdict(0.4, 0.4, None).next_step
