"""Right answers beside the errors."""

import numpy as np
import torch

from diptych.data.images import Images
from diptych.recognition.evaluation.correct_examples import CAPTION, MAX_SHOWN, correct_examples
from diptych.recognition.evaluation.evaluate import evaluation_report
from tests.recognition.evaluation.test_evaluate import CLASSES, DecisionRule, logits_for, pictures


def examples(images: Images, targets, predicted, confidence=None):
    confidence = torch.full((len(targets),), 0.9) if confidence is None else confidence
    return correct_examples(images, torch.tensor(targets), torch.tensor(predicted), confidence, CLASSES)


def test_the_same_dozen_right_answers_are_shown_each_time_with_their_confidence():
    targets, predicted = [0, 1, 2] * 20, [0, 1, 1] * 20
    shown, again = (examples(pictures(targets), targets, predicted) for _ in range(2))
    assert len(shown.captions) == len(shown.pictures) == MAX_SHOWN
    assert set(shown.captions) == {"cat (90%)", "dog (90%)"}
    assert (shown.captions, shown.pictures) == (again.captions, again.pictures)


def test_of_several_labels_all_must_be_right_and_the_least_certain_counts():
    targets = np.array([[True, True, False], [True, False, False]])
    images = Images.from_arrays(np.zeros((2, 8, 8, 3), np.uint8), targets, classes=CLASSES)
    predicted = [[True, True, False], [True, True, False]]
    confidence = torch.tensor([[0.9, 0.7, 0.8], [0.9, 0.9, 0.9]])
    assert examples(images, targets, predicted, confidence).captions == ["cat, dog (70%)"]


def test_the_page_has_them_unless_every_answer_is_wrong():
    targets = [0, 1] * 5
    for predicted, has_them in ((targets, True), ([1, 0] * 5, False)):
        report = evaluation_report("E", pictures(targets), logits_for(predicted), DecisionRule(CLASSES, False))
        assert (CAPTION in report.figures) == has_them
