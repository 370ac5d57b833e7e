import torch

from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation import reliability
from diptych.report import Report
from tests.recognition.overconfident import CLASSES, blank_pictures, overconfident_outputs


def test_coverage_below_the_target_is_reported(overconfident_rule):
    outputs, images = overconfident_outputs(500, sharpness=3.0, seed=2)
    wrong = images.labels.copy()
    wrong[:200] = (wrong[:200] + 1) % 3
    report = Report("r")
    reliability.add_measured_coverage(report, blank_pictures(wrong), outputs.logits, overconfident_rule)
    assert report.scores["coverage"].high < 0.9
    assert "less often than promised" in report.findings[0]


def test_a_decision_rule_without_sets_promises_nothing():
    outputs, images = overconfident_outputs(50)
    report, rule = Report("r"), DecisionRule(CLASSES, False)
    reliability.add_measured_coverage(report, images, outputs.logits, rule)
    reliability.add_reliability(report, torch.rand(50), torch.rand(50) < 0.5, rule)
    assert set(report.scores) == {"aurc"}
    assert not report.findings


def test_the_report_shows_reliability_and_risk_and_what_the_decision_rule_promises(overconfident_rule):
    report = Report("r")
    confidence = torch.rand(300, generator=torch.Generator().manual_seed(0))
    correct = torch.rand(300, generator=torch.Generator().manual_seed(1)) < confidence
    reliability.add_reliability(report, confidence, correct, overconfident_rule)
    captions = [reliability.RELIABILITY, reliability.HISTOGRAM, reliability.RISK_COVERAGE]
    assert list(report.figures) == captions
    assert report.rare >= {"aurc", *captions}
    assert 0.1 < report.scores["aurc"].value < 0.5
    assert "their count of 400" in report.findings[0]
    assert "5.0% (3.1% to 7.3%)" in report.findings[1]


def test_whether_confidence_is_honest_is_said_in_a_sentence():
    right = torch.arange(100) < 80
    describe = reliability.describe_confidence
    assert describe(torch.full((100,), 0.8), right, 0.0) == (
        "Its confidence is honest: it is 80.0% on average, and 80.0% of the answers are right."
    )
    assert describe(torch.full((100,), 0.98), right, 0.18).startswith("Its confidence is too high: it is 98.0%")
    assert describe(torch.full((100,), 0.5), right, 0.3).startswith("Its confidence is too low: it is 50.0%")
    backwards = torch.where(right, 0.75, 1.0)  # surest where it is wrong
    assert describe(backwards, right, 0.4) == "Its confidence says little: it is off by 40% on average, both ways."
    assert "is honest" in describe(torch.full((10000,), 0.82), torch.arange(10000) < 8000, 0.02)


def test_training_pictures_are_counted_by_their_paths(overconfident_index):
    images = blank_pictures([0, 1])  # "array#0" and "array#1" are in the index
    assert reliability.count_trained_on(images, overconfident_index) == 2
    assert reliability.count_trained_on(images, None) == 0
