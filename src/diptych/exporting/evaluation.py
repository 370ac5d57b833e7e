"""Evaluation of an exported recognizer on labelled pictures, by the same report as its model's."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.recognition import datasets
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.evaluate import evaluation_report
from diptych.report import Report


def evaluate_logits(
    logits: Callable[[Images], NDArray[np.float32]],
    images: Images,
    *,
    classes: tuple[str, ...],
    size: int,
    multi_label: bool,
    calibration: Mapping[str, Any],
) -> Report:
    """The report of :meth:`diptych.Recognizer.evaluate` without explanations, which need the network itself.

    Parameters
    ----------
    logits
        From readable pictures to (N, K) float32 logits.
    classes, size, multi_label, calibration
        Those of the model, as the exported file stores them.

    Raises
    ------
    DataError
        The pictures have no labels, or a class that this recognizer does not know.
    """
    labelled = datasets.evaluation_images(images, classes, size)
    rule = DecisionRule.from_json(classes, multi_label, calibration)
    report = evaluation_report(
        f"Evaluation on {counted(len(labelled), 'picture')}", labelled, torch.from_numpy(logits(labelled)), rule
    )
    if len(labelled) < len(images):
        report.facts["pictures given"] = len(images)
    return report
