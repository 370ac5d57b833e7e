"""Evaluation of an exported recognizer on labelled pictures, by the same report as its model's."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.data.training_digests import Digests
from diptych.recognition import datasets
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.evaluate import evaluation_report, held_out_pictures
from diptych.report import Report

TRAINING_UNKNOWN = (
    "An earlier version exported the file, so it does not say which pictures the model was trained on: if some are "
    "among these, the model looks better than it is. Export it again."
)


def evaluate_logits(
    logits: Callable[[Images], NDArray[np.float32]],
    images: Images,
    *,
    classes: tuple[str, ...],
    size: int,
    multi_label: bool,
    calibration: Mapping[str, Any],
    trained: Digests | None,
) -> Report:
    """The report of :meth:`diptych.Recognizer.evaluate` without explanations, which need the network itself.

    Parameters
    ----------
    logits
        From readable pictures to (N, K) float32 logits.
    classes, size, multi_label, calibration
        Those of the model, as the exported file stores them.
    trained
        Digests of the pictures that the model was trained on, which are left out; ``None``: the file has none.

    Raises
    ------
    DataError
        The pictures have no labels, a class that this recognizer does not know, or were all trained on.
    """
    labelled = datasets.evaluation_images(images, classes, size)
    labelled, left_out = (labelled, [TRAINING_UNKNOWN]) if trained is None else held_out_pictures(labelled, trained)
    rule = DecisionRule.from_json(classes, multi_label, calibration)
    report = evaluation_report(
        f"Evaluation on {counted(len(labelled), 'picture')}", labelled, torch.from_numpy(logits(labelled)), rule
    )
    report.findings = left_out + report.findings
    if len(labelled) < len(images):
        report.facts["pictures given"] = len(images)
    return report
