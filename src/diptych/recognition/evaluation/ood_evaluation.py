"""How well a recognizer detects out-of-distribution pictures, measured on known and unknown ones."""

from torch import Tensor

from diptych.metrics.selective_prediction import auroc, auroc_interval
from diptych.recognition.confidence import ood
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs
from diptych.report import Report, Score, Table, confidence_figures
from diptych.report.report import format_number

MIN_AUROC = 0.7  # under which the report says that the flag is not reliable
BY_SCORE = "Detection of unknown pictures, by score"


def add_ood_detection(
    report: Report, known: Outputs, unknown: Outputs, rule: DecisionRule, index: EmbeddingIndex | None
) -> None:
    """Add how well unknown pictures are distinguished from known ones, by all scores together and by each.

    The AUROC is the probability that a known picture is more familiar than an unknown one; the shares of either that
    are flagged unknown are those at the recognizer's own threshold.
    """
    known_scores, unknown_scores = (_ood_scores(outputs, rule, index) for outputs in (known, unknown))
    names = ood.OOD_SCORES if known_scores.shape[1] > 1 else ood.OOD_SCORES[:1]
    scale = rule.scale if len(names) > 1 else None
    known_familiarity, unknown_familiarity = (
        scores[:, 0] if scale is None else scale.familiarity(scores) for scores in (known_scores, unknown_scores)
    )
    threshold = rule.response_threshold if scale is None else scale.threshold
    report.scores["unknown_auroc"] = _auroc_score(known_familiarity, unknown_familiarity)
    report.scores["unknown_tpr"] = _share(unknown_familiarity < threshold)
    report.scores["unknown_fpr"] = _share(known_familiarity < threshold)
    rows = [["all scores combined", report.scores["unknown_auroc"]]] if scale else []
    rows += [[name, _auroc_score(known_scores[:, i], unknown_scores[:, i])] for i, name in enumerate(names)]
    report.tables[BY_SCORE] = Table(["score", "AUROC"], [list(row) for row in rows])
    report.rare |= {BY_SCORE, "unknown_auroc", "unknown_tpr", "unknown_fpr"}  # the finding says what they come to
    report.figures["Familiarity of known and unknown pictures"] = confidence_figures.familiarity(
        known_familiarity.numpy(), unknown_familiarity.numpy(), threshold
    )
    report.facts["unknown pictures"] = len(unknown_familiarity)
    report.findings.append(_finding(report))


def _ood_scores(outputs: Outputs, rule: DecisionRule, index: EmbeddingIndex | None) -> Tensor:
    """(N, 3), or (N, 1) where only the largest logit is available."""
    if index is None or rule.scale is None:
        return ood.response(outputs.logits)[:, None]
    return ood.ood_scores(outputs, index)


def _auroc_score(known: Tensor, unknown: Tensor) -> Score:
    return Score(auroc(known, unknown), *auroc_interval(known, unknown), len(known) + len(unknown))


def _share(flagged: Tensor) -> Score:
    return share_score(int(flagged.sum()), len(flagged))


def _finding(report: Report) -> str:
    area, detected, false_alarms = (report.scores[f"unknown_{name}"] for name in ("auroc", "tpr", "fpr"))
    warning = "" if area.value >= MIN_AUROC else " On pictures like these the flag is not reliable."
    return (
        f"Of the {detected.n} unknown pictures {1 - detected.value:.0%} are missed; of the {false_alarms.n} known ones "
        f"{false_alarms.value:.1%} are flagged unknown, which are false alarms (AUROC {format_number(area.value)}, "
        f"{area.interval}).{warning}"
    )
