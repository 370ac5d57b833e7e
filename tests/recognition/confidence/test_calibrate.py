import numpy as np
import pytest
import torch

from diptych.data.images import Images
from diptych.metrics.classification import macro_f1
from diptych.recognition.confidence import calibrate
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation import ood_evaluation, reliability
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs
from diptych.report import Report

CLASSES = ("cat", "dog", "owl")


def pictures(labels) -> Images:
    return Images.from_arrays(np.zeros((len(labels), 8, 8, 3), np.uint8), labels, classes=CLASSES)


def seen(n: int, *, sharpness: float = 1.0, seed: int = 0, strength: float = 1.0):
    """Pictures of three classes that no network can tell wholly apart, seen by one that is too sure of itself."""
    draw = torch.Generator().manual_seed(seed)
    honest = torch.randn(n, 3, generator=draw) * 2
    labels = torch.multinomial(honest.softmax(1), 1, generator=draw).flatten().numpy()
    slopes = torch.randn(n, 3, generator=draw)
    return Outputs(honest * sharpness, honest * strength, slopes), pictures(labels)


@pytest.fixture(scope="module")
def memory():
    observed, images = seen(300, seed=9)
    return EmbeddingIndex.of(observed.features, observed.slopes, images.labels, images.paths)


@pytest.fixture(scope="module")
def reading(memory):
    return calibrate.fit_decision_rule(*seen(400, sharpness=3.0), memory)


def judged(reading, observed, images):
    report = Report("r")
    reliability.add_measured_coverage(report, images, observed.logits, reading)
    return report


def test_confidence_sets_and_the_unknown_hold_on_further_pictures(reading, memory):
    observed, images = seen(2000, sharpness=3.0, seed=1)
    assert reading.temperature == pytest.approx(3, rel=0.15)
    report = judged(reading, observed, images)
    assert report.scores["coverage"].value == pytest.approx(0.9, abs=0.04)
    assert 1 < report.scores["set_size"].value < 3
    assert not report.findings
    ood_evaluation.add_ood_detection(report, observed, observed, reading, memory)
    assert report.scores["unknown_auroc"].value == 0.5
    assert 0 < report.scores["unknown_fpr"].value < 0.05


def test_a_broken_promise_is_told(reading):
    observed, images = seen(500, sharpness=3.0, seed=2)
    wrong = images.labels.copy()
    wrong[:200] = (wrong[:200] + 1) % 3
    report = judged(reading, observed, pictures(wrong))
    assert report.scores["coverage"].high < 0.9
    assert "less often than promised" in report.findings[0]


def test_a_calibration_of_before_there_were_sets_promises_nothing():
    observed, images = seen(50)
    report, old = Report("r"), DecisionRule(CLASSES, False)
    reliability.add_measured_coverage(report, images, observed.logits, old)
    reliability.add_reliability(report, torch.rand(50), torch.rand(50) < 0.5, old)
    assert set(report.scores) == {"aurc"}
    assert not report.findings


def test_the_report_shows_reliability_and_risk_and_says_what_is_promised(reading):
    report = Report("r")
    sure = torch.rand(300, generator=torch.Generator().manual_seed(0))
    reliability.add_reliability(
        report, sure, torch.rand(300, generator=torch.Generator().manual_seed(1)) < sure, reading
    )
    assert [caption.split(":")[0] for caption in report.figures] == ["Reliability", "Risk and coverage"]
    assert 0.1 < report.scores["aurc"].value < 0.5
    assert "their count of 400" in report.findings[0]
    assert "2.0% (0.9% to 3.6%)" in report.findings[1]


def test_several_labels_have_thresholds_and_sets(memory):
    draw = torch.Generator().manual_seed(3)
    honest = torch.randn(1600, 3, generator=draw) * 2 - 2
    labels = (torch.rand(1600, 3, generator=draw) < honest.sigmoid()).numpy().astype(int)
    parts = [Outputs(honest[rows], honest[rows], torch.zeros(800, 3)) for rows in (slice(800), slice(800, None))]
    reading = calibrate.fit_decision_rule(parts[0], pictures(labels[:800]), memory)
    report, new = Report("r"), pictures(labels[800:])
    reliability.add_measured_coverage(report, new, parts[1].logits, reading)
    assert report.scores["coverage"].value == pytest.approx(0.9, abs=0.04)
    truth = torch.from_numpy(new.labels.copy())
    chances = reading.probabilities(parts[1].logits)
    assert macro_f1(truth, reading.told(chances)) > macro_f1(truth, chances >= 0.5) + 0.01
    reliability.add_reliability(report, chances, chances >= 0.5, reading)
    assert [row[0] for row in report.tables["A label is predicted from this probability on"].rows] == list(CLASSES)


def test_pictures_that_were_trained_on_are_pointed_out(memory):
    report = Report("r")
    reliability.add_training_overlap(report, pictures([0, 1]), memory)  # "array#0" and "array#1" are remembered
    assert report.findings[0].startswith("2 or more of these 2 pictures were trained on")
    fresh = Report("r")
    reliability.add_training_overlap(fresh, pictures([0, 1]), None)
    assert not fresh.findings


def test_strange_pictures_are_noticed_and_it_is_told_by_which_sign(reading, memory):
    report = Report("r")
    known, strange = seen(300, sharpness=3.0, seed=4)[0], seen(200, sharpness=0.1, seed=5, strength=0.1)[0]
    ood_evaluation.add_ood_detection(report, known, strange, reading, memory)
    area = report.scores["unknown_auroc"]
    assert area.low < area.value < area.high
    assert area.n == 500
    assert area.value > 0.9
    signs = {row[0]: row[1].value for row in report.tables["What tells the unknown"].rows}
    assert signs["nearness"] > 0.9
    assert signs["detail"] == pytest.approx(0.5, abs=0.08)
    assert report.scores["unknown_tpr"].value > report.scores["unknown_fpr"].value
    assert "Of the unknown pictures" in report.findings[-1]


def test_without_a_memory_the_energy_alone_tells():
    report = Report("r")
    known, strange = seen(100, sharpness=3.0)[0], seen(100, sharpness=0.1)[0]
    ood_evaluation.add_ood_detection(report, known, strange, DecisionRule(CLASSES, False, threshold=1.5), None)
    assert [row[0] for row in report.tables["What tells the unknown"].rows] == ["energy"]
    assert report.scores["unknown_auroc"].value > 0.8
