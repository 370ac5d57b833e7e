"""How good a recognizer is on pictures it has not seen: scores with intervals, each class, the worst errors."""

from typing import Any

import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.data.messages import join_names
from diptych.metrics import classification as scores
from diptych.recognition import datasets
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation import ood_evaluation, reliability
from diptych.recognition.evaluation.reliability import bootstrap_score
from diptych.recognition.evaluation.shares import share_score
from diptych.recognition.evaluation.slices import find_failing_slices
from diptych.recognition.evaluation.worst_errors import ErrorExplainer, worst_errors
from diptych.recognition.inference.outputs import compute_outputs
from diptych.report import Report, Score, Table, figures

FEW = 50  # pictures of a class, under which its figures are told to be rough
ALIKE = "None of the kinds of pictures compared here fails more than the others by more than chance explains."
CONFUSED = 3  # pairs of classes named
CONFUSED_SHARE = 0.05  # of a class's pictures taken for another, from which the pair is named


def evaluate_network(witness: ErrorExplainer, reading: DecisionRule, images: Images, unknown: Images | None) -> Report:
    """Judge a recognizer; see :meth:`diptych.recognition.recognizer.Recognizer.evaluate`."""
    network, size, memory = witness.network, witness.size, witness.memory
    known = datasets.evaluation_images(images, reading.classes, size)
    seen = compute_outputs(network, known, size, title="Evaluating")
    made = evaluation_report(f"Evaluation on {len(known)} pictures", known, seen.logits, reading, witness)
    reliability.add_measured_coverage(made, known, seen.logits, reading)
    reliability.add_training_overlap(made, known, memory)
    if len(known) < len(images):
        made.facts["pictures given"] = len(images)
    if known.skipped:
        reasons = join_names([str(error) for error in known.skipped], datasets.MAX_NAMES)
        made.findings.append(f"{len(known.skipped)} files could not be used: {reasons}.")
    if unknown is not None:
        strange = compute_outputs(
            network, datasets.require_readable(unknown, size), size, title="Evaluating the unknown"
        )
        ood_evaluation.add_ood_detection(made, seen, strange, reading, memory)
    return made


def evaluation_report(
    title: str, images: Images, logits: Tensor, reading: DecisionRule, witness: ErrorExplainer | None = None
) -> Report:
    """Judge (N, K) logits against the labels of as many readable pictures, in the recognizer's order of classes.

    ``witness`` is who gave them: with it, the worst errors are shown with reasons, and where it fails is looked for.
    """
    truth = datasets.targets(images)
    told = reading.probabilities(logits)
    guess = reading.told(told)
    sure, right = confidence(truth, told, guess)
    made = Report(title, scores=_scores(truth, guess, sure, len(reading.classes)), findings=_few(images))
    made.tables["Classes"] = _table(truth, guess, reading.classes)
    if not reading.multi_label:
        matrix = scores.confusion_matrix(truth, guess, len(reading.classes))
        made.figures["Confusion: true class by row, told class by column"] = figures.confusion(
            matrix.numpy(), reading.classes
        )
        made.findings = _confused(matrix, reading.classes) + made.findings
    reliability.add_reliability(made, sure, right, reading)
    cards = worst_errors(images, truth, guess, sure, reading.classes, witness)
    if cards:
        made.cards["The wrong answers given with the most confidence"] = cards
    if witness is not None:
        failing = find_failing_slices(images, (right.all(1) if right.ndim == 2 else right).numpy(), witness.size)
        if failing.tables:
            made.parts.append(failing)
            made.findings, failing.findings = failing.findings + made.findings, [] if failing.findings else [ALIKE]
    made.facts["pictures"] = len(images)
    return made


def _scores(truth: Tensor, guess: Tensor, sure: Tensor, classes: int) -> dict[str, Score]:
    """Accuracy, balanced accuracy (of single labels), macro F1 and calibration error, with 95 % intervals."""
    n, correct = len(truth), guess == truth
    right = scores.accuracy(truth, guess)

    def balanced(rows: Tensor) -> float:
        return scores.balanced_accuracy(truth[rows], guess[rows], classes)

    def f1(rows: Tensor) -> float:
        return scores.macro_f1(truth[rows], guess[rows], classes)

    def gap(rows: Tensor) -> float:
        return scores.expected_calibration_error(sure[rows], correct[rows])

    found = {"accuracy": share_score(round(right * n), n)}
    if truth.ndim == 1:
        found["balanced_accuracy"] = bootstrap_score(balanced, n)
    return {**found, "macro_f1": bootstrap_score(f1, n), "calibration_error": bootstrap_score(gap, n)}


def confidence(truth: Tensor, told: Tensor, guess: Tensor) -> tuple[Tensor, Tensor]:
    """How sure each answer was, and whether it was right; (N,), or (N, K) of several labels."""
    if truth.ndim == 2:
        return told.where(guess, 1 - told), guess == truth
    return told.amax(1), guess == truth


def _table(truth: Tensor, guess: Tensor, classes: tuple[str, ...]) -> Table:
    """Precision, recall and F1 of each class, each a share of pictures, with Wilson's intervals.

    F1 = 2J/(1 + J), where J = TP/(TP + FP + FN) is the share told right among the pictures that are of the class or
    are told to be; so F1's ends follow from J's. A score that nothing is there to tell is empty.
    """
    if truth.ndim == 1:
        truth, guess = (torch.nn.functional.one_hot(labels, len(classes)).bool() for labels in (truth, guess))
    hits, told, of, either = (m.sum(0).tolist() for m in (truth & guess, guess, truth, truth | guess))
    rows: list[list[Any]] = []
    for i, name in enumerate(classes):
        jaccard = _share(hits[i], either[i])
        rows.append([name, of[i], _share(hits[i], told[i]), _share(hits[i], of[i]), jaccard and _f1(jaccard)])
    return Table(["class", "pictures", "precision", "recall", "f1"], rows)


def _share(hits: int, n: int) -> Score | None:
    return share_score(hits, n) if n else None


def _f1(jaccard: Score) -> Score:
    value, low, high = (2 * j / (1 + j) for j in (jaccard.value, jaccard.low or 0.0, jaccard.high or 0.0))
    return Score(value, low, high, jaccard.n)


def _confused(matrix: Tensor, classes: tuple[str, ...]) -> list[str]:
    """Sentences on the pairs of classes that are confused most."""
    totals = matrix.sum(1, keepdim=True).clamp(min=1)
    shares = (matrix / totals).fill_diagonal_(0)
    told = []
    for place in shares.flatten().argsort(descending=True, stable=True)[:CONFUSED].tolist():
        true, taken = divmod(place, len(classes))
        count, of = int(matrix[true, taken]), int(totals[true])
        if shares[true, taken] >= CONFUSED_SHARE and count > 1:
            told.append(f"{classes[true]} is taken for {classes[taken]} in {count} of {of} pictures.")
    return told


def _few(images: Images) -> list[str]:
    few = [name for name, count in images.counts().items() if 0 < count < FEW]
    if not few:
        return []
    names = "every class" if len(few) == len(images.classes) > 1 else ", ".join(few[:8])
    more = f" and {len(few) - 8} more" if names != "every class" and len(few) > 8 else ""
    return [f"Fewer than {FEW} pictures of {names}{more}: the figures of a class are rough."]
