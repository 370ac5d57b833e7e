"""Pictures that a recognizer is right about, so that a page shows more than its errors."""

import numpy as np
from torch import Tensor

from diptych.data.images import Images
from diptych.recognition.evaluation.worst_errors import display_pixels
from diptych.recognition.explanation.nearest import label_name
from diptych.report import Gallery, figures

MAX_SHOWN = 12
CAPTION = "Right answers, drawn at random"


def correct_examples(
    images: Images, targets: Tensor, predicted: Tensor, confidence: Tensor, classes: tuple[str, ...]
) -> Gallery | None:
    """At most a dozen correct predictions with their confidence, always the same ones; ``None``: there are none.

    Parameters
    ----------
    targets, predicted, confidence
        (N,), or (N, K) of several labels, of which all must be correct.
    """
    correct = predicted == targets
    if targets.ndim == 2:  # a picture is as certain as its least certain label
        correct, confidence = correct.all(1), confidence.amin(1)
    rows = correct.nonzero().flatten().numpy()
    if not len(rows):
        return None
    shown = np.sort(np.random.default_rng(0).permutation(rows)[:MAX_SHOWN]).tolist()
    captions = [f"{label_name(predicted[i].numpy(), classes)} ({float(confidence[i]):.0%})" for i in shown]
    return figures.gallery([display_pixels(images, i) for i in shown], captions)
