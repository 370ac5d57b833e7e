"""Evaluating a recognizer: scores with intervals, each class, and the worst errors."""

import logging
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.data.messages import counted, join_names
from diptych.data.provenance import refuse_generated
from diptych.data.training_digests import Digests, trained_on
from diptych.errors import DataError
from diptych.metrics import classification as metrics
from diptych.recognition import datasets
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation import ood_evaluation, reliability
from diptych.recognition.evaluation.correct_examples import CAPTION as CORRECT_EXAMPLES
from diptych.recognition.evaluation.correct_examples import correct_examples
from diptych.recognition.evaluation.reliability import bootstrap_score
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.evaluation.slices import find_failing_slices
from diptych.recognition.evaluation.verdict import Evidence, recognizer_verdict
from diptych.recognition.evaluation.worst_errors import ErrorExplainer, worst_errors
from diptych.recognition.inference.outputs import compute_outputs
from diptych.report import Report, Score, Table, figures
from diptych.report.report import RARE_SCORES

log = logging.getLogger("diptych")
MIN_CLASS_PICTURES = 50  # under which the report warns that a class's scores are rough
MAX_NAMES = 8  # classes that this warning lists
MAX_CONFUSIONS = 3  # pairs of classes that are named
MIN_CONFUSION_SHARE = 0.05  # of a class's pictures predicted as another, from which a further pair is named
NO_FAILING_SLICE = "No slice of the pictures has a lower accuracy than the other pictures beyond chance."


def evaluate_network(
    explainer: ErrorExplainer, rule: DecisionRule, images: Images, unknown: Images | None, trained: Digests
) -> Report:
    """Evaluate a recognizer; see :meth:`diptych.recognition.recognizer.Recognizer.evaluate`.

    ``trained`` are the digests of its training pictures; empty where they were not saved.
    """
    network, size, index = explainer.network, explainer.size, explainer.index
    evaluated = datasets.evaluation_images(images, rule.classes, size)
    evaluated, left_out = held_out_pictures(evaluated, trained)
    outputs = compute_outputs(network, evaluated, size, title="Evaluating")
    report = evaluation_report(
        f"Evaluation on {counted(len(evaluated), 'picture')}", evaluated, outputs.logits, rule, explainer
    )
    reliability.add_measured_coverage(report, evaluated, outputs.logits, rule)
    report.findings = left_out + report.findings
    overlap = 0 if len(trained) else reliability.count_trained_on(evaluated, index)
    if overlap:
        report.verdict = recognizer_verdict(_evidence(report, evaluated, overlap))
    if len(evaluated) < len(images):
        report.facts["pictures given"] = len(images)
    if evaluated.skipped:
        reasons = join_names([str(error) for error in evaluated.skipped], datasets.MAX_NAMES)
        report.findings.append(f"{counted(len(evaluated.skipped), 'file')} could not be used: {reasons}.")
    if unknown is not None:
        refuse_generated(unknown, "An evaluation")
        readable = datasets.require_readable(unknown, size)
        ood_outputs = compute_outputs(network, readable, size, title="Evaluating unknown pictures")
        ood_evaluation.add_ood_detection(report, outputs, ood_outputs, rule, index)
    return report


def held_out_pictures(images: Images, trained: Digests) -> tuple[Images, list[str]]:
    """The pictures that a model was not trained on, and a sentence if there were others among them.

    Raises
    ------
    DataError
        It was trained on all of them.
    """
    known = trained_on(images, trained)
    if not known.any():
        return images, []
    if known.all():
        raise DataError(
            f"The recognizer was trained on all of these pictures ({len(images):,}), so they are no test: it looks "
            "better on them than it is. Name pictures that it has never seen."
        )
    sentence = (
        f"The recognizer was trained on {int(known.sum()):,} of the {len(images):,} pictures. They are left out: the "
        f"scores are of the {int((~known).sum()):,} others."
    )
    log.warning("%s", sentence)
    return images[~known], [sentence]


def evaluation_report(
    title: str, images: Images, logits: Tensor, rule: DecisionRule, explainer: ErrorExplainer | None = None
) -> Report:
    """Evaluate (N, K) logits against the labels of N readable pictures, in the recognizer's order of classes.

    Parameters
    ----------
    explainer
        Explains the worst errors, and lets slices of low accuracy be searched for; ``None``: neither.
    """
    targets = datasets.targets(images)
    probabilities = rule.probabilities(logits)
    predicted = rule.predicted_labels(probabilities)
    confidence, correct = confidence_and_correctness(targets, probabilities, predicted)
    report = Report(
        title, scores=_scores(targets, predicted, confidence, len(rule.classes)), findings=_rough_scores(images)
    )
    confusions: list[str] = []
    report.tables["Classes"] = _class_table(targets, predicted, rule.classes)
    if not rule.multi_label:
        matrix = metrics.confusion_matrix(targets, predicted, len(rule.classes))
        caption = "Which class is taken for which: the true class by row, the predicted one by column"
        report.figures[caption] = partial(figures.confusion, matrix.numpy(), rule.classes)
        confusions = _confusions(matrix, rule.classes)
        report.findings = confusions + report.findings
    examples = correct_examples(images, targets, predicted, confidence, rule.classes)
    if examples is not None:
        report.figures[CORRECT_EXAMPLES] = examples
    reliability.add_reliability(report, confidence, correct, rule)
    trust = reliability.describe_confidence(confidence, correct, report.scores["calibration_error"].value)
    report.findings.insert(len(confusions), trust)
    report.rare |= RARE_SCORES
    cards = worst_errors(images, targets, predicted, confidence, rule.classes, explainer)
    if cards:
        report.cards["Worst errors: wrong predictions with the highest confidence"] = cards
    if explainer is not None:
        _add_slices(report, images, correct, explainer.size)
    report.facts["pictures"] = len(images)
    report.verdict = recognizer_verdict(_evidence(report, images))
    return report


def _evidence(report: Report, images: Images, trained_on: int = 0) -> Evidence:
    """What the verdict rests on, from the scores of the report and the table of its classes."""
    _, counts = np.unique(images.labels, axis=0, return_counts=True)
    table = report.tables["Classes"]
    recalls = {row[0]: row[table.columns.index("recall")] for row in table.rows}
    return Evidence(
        accuracy=report.scores["accuracy"],
        guessing=float(counts.max() / counts.sum()),
        calibration_error=report.scores["calibration_error"].value,
        recalls={name: recall for name, recall in recalls.items() if recall is not None},
        trained_on=trained_on,
    )


def confidence_and_correctness(targets: Tensor, probabilities: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """The confidence of each prediction, and whether it is correct; (N,), or (N, K) of several labels."""
    if targets.ndim == 2:
        return probabilities.where(predicted, 1 - probabilities), predicted == targets
    return probabilities.amax(1), predicted == targets


def _add_slices(report: Report, images: Images, correct: Tensor, size: int) -> None:
    """Add the accuracy by slice as a part; its findings lead those of the report."""
    slices = find_failing_slices(images, (correct.all(1) if correct.ndim == 2 else correct).numpy(), size)
    if slices.tables:
        report.parts.append(slices)
        report.findings = slices.findings + report.findings
        slices.findings = [] if slices.findings else [NO_FAILING_SLICE]


def _scores(targets: Tensor, predicted: Tensor, confidence: Tensor, classes: int) -> dict[str, Score]:
    """Accuracy, balanced accuracy (of single labels), macro F1 and calibration error, with 95 % intervals."""
    n, correct = len(targets), predicted == targets
    accuracy = metrics.accuracy(targets, predicted)

    def balanced_accuracy(rows: Tensor) -> float:
        return metrics.balanced_accuracy(targets[rows], predicted[rows], classes)

    def macro_f1(rows: Tensor) -> float:
        return metrics.macro_f1(targets[rows], predicted[rows], classes)

    def calibration_error(rows: Tensor) -> float:
        return metrics.expected_calibration_error(confidence[rows], correct[rows])

    scores = {"accuracy": share_score(round(accuracy * n), n)}
    if targets.ndim == 1:
        scores["balanced_accuracy"] = bootstrap_score(balanced_accuracy, n)
    return {
        **scores,
        "macro_f1": bootstrap_score(macro_f1, n),
        "calibration_error": bootstrap_score(calibration_error, n),
    }


def _class_table(targets: Tensor, predicted: Tensor, classes: tuple[str, ...]) -> Table:
    """Precision, recall and F1 of each class, each a share of pictures, with Wilson's intervals.

    F1 = 2J/(1 + J), where J = TP/(TP + FP + FN) is the share predicted correctly among the pictures that are of the
    class or are predicted to be; so F1's ends follow from J's. A score without any picture is empty.
    """
    if targets.ndim == 1:
        targets, predicted = (
            torch.nn.functional.one_hot(labels, len(classes)).bool() for labels in (targets, predicted)
        )
    masks = (targets & predicted, predicted, targets, targets | predicted)
    hits, positives, support, union = (mask.sum(0).tolist() for mask in masks)
    rows: list[list[Any]] = []
    for i, name in enumerate(classes):
        precision, recall, jaccard = (_share(hits[i], n[i]) for n in (positives, support, union))
        rows.append([name, support[i], precision, recall, jaccard and _f1(jaccard)])
    return Table(["class", "pictures", "precision", "recall", "f1"], rows)


def _share(hits: int, n: int) -> Score | None:
    return share_score(hits, n) if n else None


def _f1(jaccard: Score) -> Score:
    value, low, high = (2 * j / (1 + j) for j in (jaccard.value, jaccard.low or 0.0, jaccard.high or 0.0))
    return Score(value, low, high, jaccard.n, share=True)


def _confusions(matrix: Tensor, classes: tuple[str, ...]) -> list[str]:
    """Sentences on the pairs of classes that are confused most; nothing of a single error."""
    totals = matrix.sum(1, keepdim=True).clamp(min=1)
    shares = (matrix / totals).fill_diagonal_(0)
    sentences: list[str] = []
    for cell in shares.flatten().argsort(descending=True, stable=True)[:MAX_CONFUSIONS].tolist():
        true, predicted = divmod(cell, len(classes))
        count, total = int(matrix[true, predicted]), int(totals[true])
        if true != predicted and count > 1 and (not sentences or shares[true, predicted] >= MIN_CONFUSION_SHARE):
            sentences.append(f"{classes[true]} is mistaken for {classes[predicted]} in {count} of {total} pictures.")
    return sentences


def _rough_scores(images: Images) -> list[str]:
    """A warning if classes have too few pictures for precise scores."""
    small = [name for name, count in images.counts().items() if 0 < count < MIN_CLASS_PICTURES]
    if not small:
        return []
    if len(small) == len(images.classes) > 1:
        names = "every class"
    else:
        more = f" and {len(small) - MAX_NAMES} more" if len(small) > MAX_NAMES else ""
        names = ", ".join(small[:MAX_NAMES]) + more
    return [f"Fewer than {MIN_CLASS_PICTURES} pictures of {names}: the scores of single classes are rough."]
