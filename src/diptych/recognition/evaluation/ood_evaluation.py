"""How well a recognizer notices pictures of what it does not know, measured on such pictures."""

from torch import Tensor

from diptych.metrics.selective import auroc, auroc_interval
from diptych.recognition.confidence import ood
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.shares import share_score
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs
from diptych.report import Report, Score, Table, confidence_figures
from diptych.report.report import number

HARDLY = 0.7  # AUROC under which the word is no help


def add_ood_detection(
    report: Report, known: Outputs, strange: Outputs, reading: DecisionRule, memory: EmbeddingIndex | None
) -> None:
    """Add how well pictures of something else are told from known ones, over all and by each sign.

    The AUROC is how likely a known picture is more familiar than a strange one; the shares told "unknown" of either
    kind are those at the recognizer's own threshold.
    """
    signs = [_signs(observed, reading, memory) for observed in (known, strange)]
    names = ood.OOD_SCORES if signs[0].shape[1] > 1 else ood.OOD_SCORES[:1]
    scale = reading.scale if len(names) > 1 else None
    ours, theirs = (s[:, 0] if scale is None else scale.familiarity(s) for s in signs)
    threshold = reading.threshold if scale is None else scale.threshold
    report.scores["unknown_auroc"] = _score(ours, theirs)
    report.scores["unknown_tpr"] = _share(theirs < threshold)
    report.scores["unknown_fpr"] = _share(ours < threshold)
    rows = [["all together", report.scores["unknown_auroc"]]] if scale else []
    rows += [[name, _score(signs[0][:, i], signs[1][:, i])] for i, name in enumerate(names)]
    report.tables["What tells the unknown"] = Table(["sign", "AUROC"], [list(row) for row in rows])
    report.figures["Familiarity of known and of unknown pictures"] = confidence_figures.familiarity(
        ours.numpy(), theirs.numpy(), threshold
    )
    report.facts["unknown pictures"] = len(theirs)
    _say(report)


def _signs(observed: Outputs, reading: DecisionRule, memory: EmbeddingIndex | None) -> Tensor:
    """(N, 3), or (N, 1) where nothing but the energy can tell."""
    if memory is None or reading.scale is None:
        return ood.energy(observed.logits, multi_label=reading.multi_label)[:, None]
    return ood.ood_scores(observed, memory, multi_label=reading.multi_label)


def _score(known: Tensor, strange: Tensor) -> Score:
    return Score(auroc(known, strange), *auroc_interval(known, strange), len(known) + len(strange))


def _share(flagged: Tensor) -> Score:
    return share_score(int(flagged.sum()), len(flagged))


def _say(report: Report) -> None:
    area, found, wrong = (report.scores[f"unknown_{name}"] for name in ("auroc", "tpr", "fpr"))
    told = f"Of the unknown pictures {found.value:.0%} are told so, and {wrong.value:.1%} of the known ones"
    hint = "" if area.value >= HARDLY else "; on pictures such as these the word is hardly a hint"
    report.findings.append(f"{told} (AUROC {number(area.value)}, {area.interval}){hint}.")
