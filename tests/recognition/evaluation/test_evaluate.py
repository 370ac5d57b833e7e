import numpy as np
import torch

from diptych.data.images import Images
from diptych.recognition import networks
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation import evaluate
from diptych.recognition.evaluation.worst_errors import ErrorExplainer

CLASSES = ("cat", "dog", "owl")


def pictures(labels) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 3)).astype(np.uint8)
    return Images.from_arrays(pixels, labels, classes=CLASSES)


def logits_for(predicted, strength=4.0):
    return torch.nn.functional.one_hot(torch.tensor(predicted), 3) * strength


WORST_ERRORS = "Worst errors: wrong predictions with the highest confidence"


def test_scores_and_classes():
    targets = [0] * 8 + [1] * 2
    report = evaluate.evaluation_report(
        "Evaluation", pictures(targets), logits_for([0] * 6 + [1] * 4), DecisionRule(CLASSES, False)
    )
    assert report.scores["accuracy"].value == 0.8
    assert report.scores["accuracy"].n == 10
    assert report.scores["balanced_accuracy"].value == (0.75 + 1) / 2
    rows = {row[0]: row[1:] for row in report.tables["Classes"].rows}
    assert rows["cat"][0] == 8
    assert rows["cat"][2].value == 0.75
    assert rows["dog"][1].value == 0.5
    assert rows["owl"] == [0, None, None, None]  # no picture is of the class or predicted to be


def test_every_score_lies_in_its_interval():
    draw = np.random.default_rng(0)
    targets, predicted = draw.integers(0, 3, 90), draw.integers(0, 3, 90)
    report = evaluate.evaluation_report(
        "Evaluation", pictures(targets), logits_for(predicted.tolist()), DecisionRule(CLASSES, False)
    )
    rows = report.tables["Classes"].rows
    scores = [*report.scores.values(), *(score for row in rows for score in row[2:])]
    assert all(0 <= score.low <= score.value <= score.high <= 1 for score in scores)


def test_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    draw = np.random.default_rng(1)
    targets, predicted = draw.integers(0, 3, 90), draw.integers(0, 3, 90)
    report = evaluate.evaluation_report(
        "Evaluation", pictures(targets), logits_for(predicted.tolist()), DecisionRule(CLASSES, False)
    )
    scores = [row[4].value for row in report.tables["Classes"].rows]
    assert np.allclose(scores, f1_score(targets, predicted, average=None))


def test_confused_classes_are_reported():
    report = evaluate.evaluation_report(
        "Evaluation", pictures([0] * 8 + [1] * 2), logits_for([0] * 6 + [1] * 4), DecisionRule(CLASSES, False)
    )
    assert report.findings[0] == "cat is mistaken for dog in 2 of 8 pictures."


def test_a_single_error_is_no_confusion_and_a_right_answer_none_either():
    report = evaluate.evaluation_report(
        "Evaluation", pictures([0] * 8 + [1] * 8), logits_for([0] * 7 + [1] * 9), DecisionRule(CLASSES, False)
    )
    assert [finding for finding in report.findings if "mistaken" in finding] == []


def test_the_most_frequent_confusion_is_named_however_rare_and_then_whether_confidence_can_be_trusted():
    report = evaluate.evaluation_report(
        "Evaluation", pictures([0] * 100 + [1]), logits_for([0] * 98 + [1] * 3), DecisionRule(CLASSES, False)
    )
    assert report.findings[0] == "cat is mistaken for dog in 2 of 100 pictures."
    assert report.findings[1].startswith("Its confidence ")
    assert report.rare >= {"calibration_error", "aurc", "macro_f1"}


def test_errors_are_shown_worst_first():
    logits = logits_for([0, 0, 1, 1])
    logits[2] *= 2
    report = evaluate.evaluation_report("Evaluation", pictures([0, 0, 0, 0]), logits, DecisionRule(CLASSES, False))
    assert [card.title for card in report.cards[WORST_ERRORS]] == [
        "predicted dog (100%), labelled cat",
        "predicted dog (96%), labelled cat",
    ]
    assert [card.facts["picture"] for card in report.cards[WORST_ERRORS]] == ["array#2", "array#3"]


def test_without_errors_none_are_shown():
    report = evaluate.evaluation_report(
        "Evaluation", pictures([0, 1, 2]), logits_for([0, 1, 2]), DecisionRule(CLASSES, False)
    )
    assert not report.cards


def test_a_class_with_few_pictures_is_reported():
    report = evaluate.evaluation_report(
        "Evaluation", pictures([0] * 60 + [1] * 3), logits_for([0] * 63), DecisionRule(CLASSES, False)
    )
    assert any("Fewer than 50 pictures of dog:" in finding for finding in report.findings)


def test_several_labels():
    labels = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    images = Images.from_arrays(pixels, labels, classes=CLASSES)
    logits = torch.tensor(labels * 2 - 1) * 3.0
    logits[2, 1] = -3.0
    report = evaluate.evaluation_report("Evaluation", images, logits, DecisionRule(CLASSES, True))
    assert report.scores["accuracy"].value == 2 / 3
    assert [row[1] for row in report.tables["Classes"].rows] == [2, 1, 1]
    (card,) = report.cards[WORST_ERRORS]
    assert card.title.endswith("labelled cat, dog")


def test_the_report_says_when_no_slice_fails_beyond_chance():
    explainer = ErrorExplainer(networks.build("convnet", classes=3, size=8).eval(), 8, None)
    targets = [0, 1] * 60
    report = evaluate.evaluation_report(
        "Evaluation", pictures(targets), logits_for(targets), DecisionRule(CLASSES, False), explainer
    )
    (part,) = report.parts
    assert part.findings == [evaluate.NO_FAILING_SLICE]
    assert part.tables["Accuracy by image property"].rows
