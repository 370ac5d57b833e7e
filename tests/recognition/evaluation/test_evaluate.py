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


def sure_of(guesses, strength=4.0):
    return torch.nn.functional.one_hot(torch.tensor(guesses), 3) * strength


WORST = "The wrong answers given with the most confidence"


def test_scores_and_classes():
    truth = [0] * 8 + [1] * 2
    report = evaluate.evaluation_report(
        "Judged", pictures(truth), sure_of([0] * 6 + [1] * 4), DecisionRule(CLASSES, False)
    )
    assert report.scores["accuracy"].value == 0.8
    assert report.scores["accuracy"].n == 10
    assert report.scores["balanced_accuracy"].value == (0.75 + 1) / 2
    rows = {row[0]: row[1:] for row in report.tables["Classes"].rows}
    assert rows["cat"][0] == 8
    assert rows["cat"][2].value == 0.75
    assert rows["dog"][1].value == 0.5
    assert rows["owl"] == [0, None, None, None]  # none of them here, and none told: there is nothing to tell


def test_every_score_has_an_interval_that_holds_it():
    draw = np.random.default_rng(0)
    truth, guess = draw.integers(0, 3, 90), draw.integers(0, 3, 90)
    report = evaluate.evaluation_report(
        "Judged", pictures(truth), sure_of(guess.tolist()), DecisionRule(CLASSES, False)
    )
    rows = report.tables["Classes"].rows
    told = [*report.scores.values(), *(score for row in rows for score in row[2:])]
    assert all(0 <= score.low <= score.value <= score.high <= 1 for score in told)


def test_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    draw = np.random.default_rng(1)
    truth, guess = draw.integers(0, 3, 90), draw.integers(0, 3, 90)
    report = evaluate.evaluation_report(
        "Judged", pictures(truth), sure_of(guess.tolist()), DecisionRule(CLASSES, False)
    )
    found = [row[4].value for row in report.tables["Classes"].rows]
    assert np.allclose(found, f1_score(truth, guess, average=None))


def test_what_is_confused_is_said():
    report = evaluate.evaluation_report(
        "Judged", pictures([0] * 8 + [1] * 2), sure_of([0] * 6 + [1] * 4), DecisionRule(CLASSES, False)
    )
    assert report.findings[0] == "cat is taken for dog in 2 of 8 pictures."


def test_errors_are_shown_worst_first():
    logits = sure_of([0, 0, 1, 1])
    logits[2] *= 2
    report = evaluate.evaluation_report("Judged", pictures([0, 0, 0, 0]), logits, DecisionRule(CLASSES, False))
    assert [card.title for card in report.cards[WORST]] == ["dog 100%, is cat", "dog 96%, is cat"]
    assert [card.facts["picture"] for card in report.cards[WORST]] == ["array#2", "array#3"]


def test_without_errors_none_are_shown():
    report = evaluate.evaluation_report("Judged", pictures([0, 1, 2]), sure_of([0, 1, 2]), DecisionRule(CLASSES, False))
    assert not report.cards


def test_few_pictures_of_a_class_are_pointed_out():
    report = evaluate.evaluation_report(
        "Judged", pictures([0] * 60 + [1] * 3), sure_of([0] * 63), DecisionRule(CLASSES, False)
    )
    assert any("Fewer than 50 pictures of dog:" in finding for finding in report.findings)


def test_several_labels():
    labels = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    images = Images.from_arrays(pixels, labels, classes=CLASSES)
    logits = torch.tensor(labels * 2 - 1) * 3.0
    logits[2, 1] = -3.0
    report = evaluate.evaluation_report("Judged", images, logits, DecisionRule(CLASSES, True))
    assert report.scores["accuracy"].value == 2 / 3
    assert [row[1] for row in report.tables["Classes"].rows] == [2, 1, 1]
    (card,) = report.cards[WORST]
    assert card.title.endswith("is cat, dog")


def test_that_nothing_fails_more_than_by_chance_is_said_too():
    witness = ErrorExplainer(networks.build("convnet", classes=3, size=8).eval(), 8, None)
    truth = [0, 1] * 60
    report = evaluate.evaluation_report(
        "Judged", pictures(truth), sure_of(truth), DecisionRule(CLASSES, False), witness
    )
    (part,) = report.parts
    assert part.findings == [evaluate.ALIKE]
    assert part.tables["By what the pictures are like"].rows
