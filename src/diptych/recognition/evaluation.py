"""How good a recognizer is on pictures it has not seen: scores with intervals, each class, the worst errors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.metrics import classification as scores
from diptych.metrics.intervals import bootstrap, wilson
from diptych.recognition import preparation
from diptych.recognition.prediction import LABEL_SHOWN, Reading
from diptych.report import Report, Score, Table, figures

WORST = 18  # errors shown
FEW = 50  # pictures of a class, under which its figures are told to be rough
THUMBNAIL = 96
CONFUSED = 3  # pairs of classes named
CONFUSED_SHARE = 0.05  # of a class's pictures taken for another, from which the pair is named


def report(title: str, images: Images, logits: Tensor, reading: Reading) -> Report:
    """Judge (N, K) logits against the labels of as many readable pictures, in the recognizer's order of classes."""
    truth = preparation.truth(images)
    told = reading.probabilities(logits)
    made = Report(title, scores=_scores(truth, told), findings=_few(images))
    made.tables["Classes"] = _table(truth, told, reading.classes)
    if not reading.multi_label:
        matrix = scores.confusion_matrix(truth, told.argmax(1), len(reading.classes))
        made.figures["Confusion: true class by row, told class by column"] = figures.confusion(
            matrix.numpy(), reading.classes
        )
        made.findings = _confused(matrix, reading.classes) + made.findings
    _show_worst(made, images, truth, told, reading.classes)
    made.facts["pictures"] = len(images)
    return made


def _scores(truth: Tensor, told: Tensor) -> dict[str, Score]:
    """Accuracy, macro F1 and calibration error, with 95 % intervals."""
    n, k = told.shape
    guess = _guess(truth, told)
    right = scores.accuracy(truth, guess)
    sure, correct = _confidence(truth, told)

    def f1(rows: Tensor) -> float:
        return scores.macro_f1(truth[rows], guess[rows], k)

    def gap(rows: Tensor) -> float:
        return scores.expected_calibration_error(sure[rows], correct[rows])

    return {
        "accuracy": Score(right, *wilson(round(right * n), n), n),
        "macro_f1": _resampled(f1, n),
        "calibration_error": _resampled(gap, n),
    }


def _resampled(score: Callable[[Tensor], float], n: int) -> Score:
    low, high = bootstrap(score, n)
    return Score(score(torch.arange(n)), max(0.0, low), min(1.0, high), n)


def _guess(truth: Tensor, told: Tensor) -> Tensor:
    return told >= LABEL_SHOWN if truth.ndim == 2 else told.argmax(1)


def _confidence(truth: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """How sure each answer was, and whether it was right; (N,), or (N, K) of several labels."""
    guess = _guess(truth, told)
    if truth.ndim == 2:
        return torch.maximum(told, 1 - told), guess == truth
    return told.amax(1), guess == truth


def _table(truth: Tensor, told: Tensor, classes: tuple[str, ...]) -> Table:
    guess = _guess(truth, told)
    of = (
        scores.per_label(truth, guess)
        if truth.ndim == 2
        else scores.per_class(scores.confusion_matrix(truth, guess, len(classes)))
    )
    rows: list[list[Any]] = []
    for i, name in enumerate(classes):
        n = int(of.support[i])
        hits = round(float(of.recall[i]) * n)
        recall = Score(float(of.recall[i]), *wilson(hits, n), n) if n else None
        rows.append([name, n, float(of.precision[i]), recall, float(of.f1[i])])
    return Table(["class", "pictures", "precision", "recall", "f1"], rows)


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


def _show_worst(made: Report, images: Images, truth: Tensor, told: Tensor, classes: tuple[str, ...]) -> None:
    """Add the wrong answers that were given with the most confidence, worst first."""
    sure, right = _confidence(truth, told)
    if truth.ndim == 2:
        sure, right = sure.where(~right, 0).amax(1), right.all(1)
    wrong = (~right).nonzero().flatten()
    if len(wrong) == 0:
        return
    worst = wrong[sure[wrong].argsort(descending=True, stable=True)][:WORST].tolist()
    guess = _guess(truth, told)
    captions = [f"{_words(guess[i], classes)} {float(sure[i]):.0%}\nis {_words(truth[i], classes)}" for i in worst]
    pictures = images[worst].pixels(THUMBNAIL) if len(images) else torch.empty(0)
    shown = pictures.permute(0, 2, 3, 1).numpy()
    made.figures["The wrong answers given with the most confidence"] = figures.captioned(shown, captions)


def _words(label: Tensor, classes: tuple[str, ...]) -> str:
    if label.ndim == 0:
        return classes[int(label)]
    return ", ".join(classes[i] for i in label.nonzero().flatten().tolist()) or "none"
