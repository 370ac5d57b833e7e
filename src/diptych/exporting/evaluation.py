"""Evaluating an exported recognizer on labelled pictures, as its model is evaluated."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
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
    """The report of :meth:`diptych.Recognizer.evaluate`, without explanations: those need the network itself.

    Parameters
    ----------
    logits
        Readable pictures to (N, K) float32 logits.
    classes, size, multi_label, calibration
        The model's, as the exported file holds them.

    Raises
    ------
    DataError
        The pictures have no labels, or a class that this recognizer does not know.
    """
    known = datasets.evaluation_images(images, classes, size)
    reading = DecisionRule.from_json(classes, multi_label, calibration)
    evaluated = evaluation_report(
        f"Evaluation on {len(known)} pictures", known, torch.from_numpy(logits(known)), reading
    )
    if len(known) < len(images):
        evaluated.facts["pictures given"] = len(images)
    return evaluated
