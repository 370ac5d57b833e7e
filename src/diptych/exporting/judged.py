"""Judging a portable recognizer on labelled pictures, as its model is judged."""

import torch

from diptych.data.images import Images
from diptych.exporting.portable import Portable
from diptych.recognition import evaluation, preparation
from diptych.recognition.prediction import Reading
from diptych.report import Report


def evaluate(portable: Portable, images: Images) -> Report:
    """As :meth:`diptych.Recognizer.evaluate`, but without reasons: those need the network itself.

    Raises
    ------
    DataError
        The pictures have no labels, or a class that this recognizer does not know.
    """
    known = preparation.judgeable(images, portable.classes_, portable.size_)
    reading = Reading.restored(portable.classes_, portable.multi_label_, portable.facts["calibration"])
    logits = torch.from_numpy(portable.logits(known))
    report = evaluation.report(f"Evaluation on {len(known)} pictures", known, logits, reading)
    if len(known) < len(images):
        report.facts["pictures given"] = len(images)
    return report
