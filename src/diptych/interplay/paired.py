"""Recognizers on the same pictures: accuracy, a paired test, and the pictures on which they differ."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych import artefact
from diptych.data.images import Images
from diptych.data.training_digests import stored_digests, trained_on
from diptych.errors import UsageError
from diptych.loading import load
from diptych.metrics.mcnemar import mcnemar
from diptych.recognition import datasets
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.evaluation.worst_errors import display_pixels
from diptych.report import Gallery, Report, Table, Verdict, figures

if TYPE_CHECKING:
    from diptych.recognition.predictions import Predictions

SIGNIFICANCE = 0.05  # of McNemar's test
MAX_SHOWN = 12  # pictures of each kind of difference


def add_paired_evaluation(report: Report, folders: Sequence[str], images: Images) -> None:
    """Evaluate the recognizers in these folders on the same labelled pictures, and add all of it to a report.

    Raises
    ------
    UsageError
        One of them gives several labels.
    DataError
        None of the pictures has a label that one of them knows, or can be read.
    """
    models: list[Any] = [load(folder) for folder in folders]
    if any(model.multi_label_ for model in models) or images.multi_label:
        raise UsageError("--on compares recognizers of one label a picture. Leave --on out.")
    classes = tuple(dict.fromkeys(name for model in models for name in model.classes_))
    pictures = datasets.evaluation_images(images, classes, max(model.size_ for model in models), "A comparison")
    labels = np.array(classes)[pictures.labels]
    predictions = [model.predict(pictures) for model in models]
    correct = np.array([np.array(predicted.names) == labels for predicted in predictions])
    report.tables = {f"On the same {len(pictures):,} pictures": _table(folders, correct), **report.tables}
    report.verdict = _verdict(folders, correct, _trained_on(folders, pictures))
    best, second = _ranked(correct)[:2]
    for one, other in ((best, second), (second, best)):
        rows = np.flatnonzero(correct[one] & ~correct[other])
        if len(rows):
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:MAX_SHOWN])
            caption = f"Only {folders[one]} is right, {folders[other]} is not"
            report.figures[caption] = _gallery(pictures, rows, labels, folders, predictions)


def _ranked(correct: NDArray[np.bool_]) -> list[int]:
    """The models by accuracy, the best first; of equals, the one that was named first."""
    return [int(i) for i in np.argsort(-correct.mean(1), kind="stable")]


def _table(folders: Sequence[str], correct: NDArray[np.bool_]) -> Table:
    n = correct.shape[1]
    accuracies = [share_score(int(hits.sum()), n) for hits in correct]
    alone = [int((hits & (correct.sum(0) == 1)).sum()) for hits in correct]
    return Table(["", *folders], [["accuracy", *accuracies], ["pictures that no other one gets right", *alone]])


def _trained_on(folders: Sequence[str], pictures: Images) -> list[int]:
    """How many of the pictures each model was trained on."""
    return [int(trained_on(pictures, stored_digests(artefact.data(folder))).sum()) for folder in folders]


def _verdict(folders: Sequence[str], correct: NDArray[np.bool_], trained: Sequence[int]) -> Verdict:
    best, second = _ranked(correct)[:2]
    first_only, second_only = (int((correct[a] & ~correct[b]).sum()) for a, b in ((best, second), (second, best)))
    p = mcnemar(first_only, second_only)
    reason = (
        f"On the same {correct.shape[1]:,} pictures {folders[best]} is right in {correct[best].mean():.1%}, "
        f"{folders[second]} in {correct[second].mean():.1%}. Only {folders[best]} is right in {first_only}, only "
        f"{folders[second]} in {second_only} of them (McNemar's test: {'p < 0.001' if p < 0.001 else f'p = {p:.3f}'})."
    )
    names = " ".join(map(shlex.quote, folders))
    others = f"evaluate on more pictures: diptych compare {names} --on MORE-PICTURES"
    seen = [f"{folder} on {count:,}" for folder, count in zip(folders, trained, strict=True) if count]
    if seen:
        reason = f"Of the {correct.shape[1]:,} pictures some were trained on: {', '.join(seen)}. {reason}"
        others = f"compare on pictures that none has seen: diptych compare {names} --on OTHER-PICTURES"
        return Verdict("not_held_out", "These pictures are no test: some were trained on.", reason, others)
    if p >= SIGNIFICANCE:
        return Verdict("chance", "The difference is within chance.", reason, others)
    use = f"use it: diptych predict {shlex.quote(folders[best])} PICTURES"
    return Verdict("better", f"{folders[best]} is better.", reason, use)


def _gallery(
    pictures: Images,
    rows: NDArray[np.int64],
    labels: NDArray[np.str_],
    folders: Sequence[str],
    predictions: "Sequence[Predictions]",
) -> Gallery:
    captions = [
        (
            f"labelled {labels[row]}",
            *(
                f"{folder}: {predicted.names[row]} ({predicted.confidence[row]:.0%})"
                for folder, predicted in zip(folders, predictions, strict=True)
            ),
        )
        for row in rows
    ]
    return figures.gallery([display_pixels(pictures, int(row)) for row in rows], captions)
