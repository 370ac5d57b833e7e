from dataclasses import replace

import pytest

from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.ood_evaluation import add_ood_detection
from diptych.report import Report
from tests.recognition.overconfident import CLASSES, overconfident_outputs

TABLE = "Detection of unknown pictures, by score"


def test_unknown_pictures_are_detected_and_the_report_shows_by_which_score(overconfident_rule, overconfident_index):
    report = Report("r")
    known, _ = overconfident_outputs(300, sharpness=3.0, seed=4)
    unknown, _ = overconfident_outputs(200, sharpness=3.0, seed=5)
    unknown = replace(unknown, slopes=unknown.slopes + 6)  # of another kind of detail, and like known ones otherwise
    add_ood_detection(report, known, unknown, overconfident_rule, overconfident_index)
    area = report.scores["unknown_auroc"]
    assert area.low < area.value <= area.high
    assert area.n == 500
    assert area.value > 0.9
    by_score = {row[0]: row[1].value for row in report.tables[TABLE].rows}
    assert by_score["detail"] > 0.9
    assert by_score["nearness"] == pytest.approx(0.5, abs=0.08)
    assert report.scores["unknown_tpr"].value > report.scores["unknown_fpr"].value
    assert report.findings[-1].startswith("Of the 200 unknown pictures")
    assert "not reliable" not in report.findings[-1]


def test_without_an_index_only_the_largest_logit_detects_unknown_pictures():
    report = Report("r")
    known, unknown = overconfident_outputs(100, sharpness=3.0)[0], overconfident_outputs(100, sharpness=0.1)[0]
    add_ood_detection(report, known, unknown, DecisionRule(CLASSES, False, response_threshold=1.5), None)
    assert [row[0] for row in report.tables[TABLE].rows] == ["response"]
    assert report.scores["unknown_auroc"].value > 0.8


def test_a_flag_that_hardly_distinguishes_is_called_unreliable(overconfident_rule, overconfident_index):
    report = Report("r")
    known, further = (overconfident_outputs(200, sharpness=3.0, seed=seed)[0] for seed in (6, 7))
    add_ood_detection(report, known, further, overconfident_rule, overconfident_index)
    assert report.findings[-1].endswith("On pictures like these the flag is not reliable.")
