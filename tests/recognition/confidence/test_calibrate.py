import pytest
import torch

from diptych.metrics.classification import macro_f1
from diptych.recognition.confidence.calibrate import fit_decision_rule
from diptych.recognition.evaluation import ood_evaluation, reliability
from diptych.recognition.inference.outputs import Outputs
from diptych.report import Report
from tests.recognition.overconfident import CLASSES, blank_pictures, overconfident_outputs


def test_confidence_sets_and_the_flag_unknown_hold_on_further_pictures(overconfident_rule, overconfident_index):
    outputs, images = overconfident_outputs(2000, sharpness=3.0, seed=1)
    assert overconfident_rule.temperature == pytest.approx(3, rel=0.15)
    report = Report("r")
    reliability.add_measured_coverage(report, images, outputs.logits, overconfident_rule)
    assert report.scores["coverage"].value == pytest.approx(0.9, abs=0.04)
    assert 1 < report.scores["set_size"].value < 3
    assert not report.findings
    ood_evaluation.add_ood_detection(report, outputs, outputs, overconfident_rule, overconfident_index)
    assert report.scores["unknown_auroc"].value == 0.5
    assert 0 < report.scores["unknown_fpr"].value < 0.05


def test_several_labels_have_thresholds_and_sets(overconfident_index):
    draw = torch.Generator().manual_seed(3)
    calibrated = torch.randn(1600, 3, generator=draw) * 2 - 2
    labels = (torch.rand(1600, 3, generator=draw) < calibrated.sigmoid()).numpy().astype(int)
    first, second = (
        Outputs(calibrated[rows], calibrated[rows], torch.zeros(800, 3)) for rows in (slice(800), slice(800, None))
    )
    rule = fit_decision_rule(first, blank_pictures(labels[:800]), overconfident_index)
    report, images = Report("r"), blank_pictures(labels[800:])
    reliability.add_measured_coverage(report, images, second.logits, rule)
    assert report.scores["coverage"].value == pytest.approx(0.9, abs=0.04)
    targets = torch.from_numpy(images.labels.copy())
    probabilities = rule.probabilities(second.logits)
    with_thresholds = macro_f1(targets, rule.predicted_labels(probabilities))
    assert with_thresholds > macro_f1(targets, probabilities >= 0.5) + 0.01
    reliability.add_reliability(report, probabilities, probabilities >= 0.5, rule)
    assert [row[0] for row in report.tables["A label is predicted from this probability on"].rows] == list(CLASSES)
