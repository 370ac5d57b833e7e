"""How far a recognizer's confidence can be relied upon: calibration, risk over coverage, coverage of the label sets."""

import os
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.metrics.intervals import bootstrap_interval
from diptych.metrics.selective_prediction import area_under_risk_coverage, aurc_interval, risk_coverage
from diptych.recognition import datasets
from diptych.recognition.confidence import conformal
from diptych.recognition.confidence.calibrate import describe_coverage, describe_false_alarms
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.evaluation.verdict import MAX_CALIBRATION_ERROR
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.report import Report, Score, Table
from diptych.report import confidence_figures as figures
from diptych.report.report import RARE_SCORES

RELIABILITY = "How often predictions of a confidence are correct: on the dotted line, as often as they promise"
HISTOGRAM = "How many predictions have which confidence"
RISK_COVERAGE = "Errors among the most confident predictions, if the others are left to a person"
TRUSTED_CALIBRATION_ERROR = 0.05  # up to which confidence can be trusted, whatever its mean
LABEL_THRESHOLDS = "A label is predicted from this probability on"


def add_reliability(report: Report, confidence: Tensor, correct: Tensor, rule: DecisionRule) -> None:
    """Add the reliability diagram, risk over coverage, and what the decision rule promises.

    Parameters
    ----------
    confidence, correct
        Of each prediction: (N,), or (N, K) of several labels.
    """
    report.figures |= {
        RELIABILITY: partial(figures.reliability, confidence.flatten().numpy(), correct.flatten().numpy()),
        HISTOGRAM: partial(figures.confidence_histogram, confidence.flatten().numpy()),
    }
    if correct.ndim == 2:  # a picture is as certain as its least certain label, and correct where all are
        confidence, correct = confidence.amin(1), correct.all(1)
    low, high = aurc_interval(confidence, correct)
    aurc = area_under_risk_coverage(confidence, correct)
    report.scores["aurc"] = Score(aurc, max(0.0, low), min(1.0, high), len(confidence))
    curve = risk_coverage(confidence, correct)
    report.figures[RISK_COVERAGE] = partial(figures.risk_coverage, *(values.numpy() for values in curve))
    report.rare |= {*RARE_SCORES, RELIABILITY, HISTOGRAM, RISK_COVERAGE, LABEL_THRESHOLDS}
    if rule.cutoff is not None:
        report.findings += [
            describe_coverage(rule),
            f"False alarms: {describe_false_alarms(rule)} of known pictures are flagged unknown. How many unknown "
            "pictures are missed depends on what they show; evaluate with --unknown measures it.",
        ]
        report.facts |= {"temperature": rule.temperature, "labels are in the set from": rule.cutoff}
    if rule.label_thresholds:
        rows = [[name, value] for name, value in zip(rule.classes, rule.label_thresholds, strict=True)]
        report.tables[LABEL_THRESHOLDS] = Table(["label", "probability"], rows)


def describe_confidence(confidence: Tensor, correct: Tensor, calibration_error: float) -> str:
    """Whether the confidence of predictions can be trusted, in a sentence.

    Parameters
    ----------
    confidence, correct
        Of each prediction: (N,), or (N, K) of several labels.
    calibration_error
        The mean gap between the two, 0..1.
    """
    mean, share = float(confidence.mean()), share_score(int(correct.sum()), correct.numel())
    within = (share.low or 0.0) <= mean <= (share.high or 1.0)
    figures = f"it is {mean:.1%} on average, and {share.value:.1%} of the answers are right."
    if calibration_error > MAX_CALIBRATION_ERROR and within:
        return f"Its confidence says little: it is off by {calibration_error:.0%} on average, both ways."
    if within or (calibration_error <= TRUSTED_CALIBRATION_ERROR):
        return f"Its confidence is honest: {figures}"
    return f"Its confidence is too {'high' if mean > share.value else 'low'}: {figures}"


def add_measured_coverage(report: Report, images: Images, logits: Tensor, rule: DecisionRule) -> None:
    """Add the coverage and size of the label sets, measured on pictures that the calibration did not see."""
    targets, members = datasets.targets(images), rule.sets(rule.probabilities(logits))
    if members is None:
        return
    sets, n = torch.from_numpy(members), len(targets)
    if targets.ndim == 2:
        labelled = targets.any(1).nonzero().flatten()
        covered = ((sets & targets).sum(1) / targets.sum(1).clamp(min=1))[labelled].double()
        coverage = bootstrap_score(lambda rows: float(covered[rows].mean()), len(labelled)) if len(labelled) else None
    else:
        hits = int(sets[torch.arange(n), targets].sum())
        coverage = share_score(hits, n)
    sizes = sets.sum(1).double()
    if coverage is not None:
        report.scores["coverage"] = coverage
        _warn_of_low_coverage(report, coverage)
    report.scores["set_size"] = bootstrap_score(lambda rows: float(sizes[rows].mean()), n, most=float("inf"))


def count_trained_on(images: Images, index: EmbeddingIndex | None) -> int:
    """How many of the pictures were trained on, by the paths in the embedding index (10,000 pictures at most)."""
    trained_on = {os.path.abspath(path) for path in index.pictures.paths()} if index else set()  # noqa: PTH100 - "a.parquet#3" is no Path
    return sum(os.path.abspath(path) in trained_on for path in images.paths.tolist())  # noqa: PTH100


def bootstrap_score(score: Callable[[Tensor], float], n: int, most: float = 1.0) -> Score:
    """A score over n rows with its bootstrap interval, within 0..most; within 0..1 it is a share."""
    interval = bootstrap_interval(score, n, bounds=(0.0, most))
    return Score(score(torch.arange(n)), *interval, n, share=most == 1.0)


def _warn_of_low_coverage(report: Report, coverage: Score) -> None:
    if coverage.high is not None and coverage.high < conformal.TARGET:
        report.findings.append(
            f"The label sets hold the true label less often than promised, {coverage.value:.1%} instead of "
            f"{conformal.TARGET:.0%}: these pictures are unlike those of the calibration. Call calibrate(images) with "
            "some of them."
        )
