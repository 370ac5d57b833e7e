import json

import numpy as np
import torch

from diptych.errors import PictureError
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.confidence.ood import FamiliarityScale

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 4.0]])


def test_one_label_a_picture():
    told = DecisionRule(("a", "b"), False, temperature=2.0, threshold=2.5).predictions(LOGITS, {})
    assert told.names == ["a", "b"]
    assert np.allclose(told.probabilities, (LOGITS / 2).softmax(1))
    assert told.unknown.tolist() == [True, False]  # log(e² + 1) = 2.13, log(1 + e⁴) = 4.02


def test_several_labels_a_picture():
    logits = torch.tensor([[2.0, 1.0], [-1.0, -3.0], [-1.0, 3.0]])
    told = DecisionRule(("a", "b"), True).predictions(logits, {})
    assert told.names == ["a, b", "", "b"]
    assert told.labels.tolist() == [[True, True], [False, False], [False, True]]
    least_sure = torch.maximum(logits.sigmoid(), 1 - logits.sigmoid()).amin(1)
    assert np.allclose(told.confidence, least_sure)


def test_labels_are_told_from_their_own_thresholds():
    logits = torch.tensor([[0.9, 0.2], [0.2, 0.2], [0.7, 0.9]]).logit()
    told = DecisionRule(("a", "b"), True, label_thresholds=(0.8, 0.1)).predictions(logits, {})
    assert told.names == ["a, b", "b", "b"]
    assert np.allclose(told.confidence, [0.2, 0.2, 0.3])  # of the decision that was made


def test_sets_hold_what_may_be_and_always_what_is_told():
    logits = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.35, 0.45], [0.98, 0.01, 0.01]]).log()
    told = DecisionRule(("a", "b", "c"), False, cutoff=0.29).predictions(logits, {})
    assert told.sets.tolist() == [[True, True, False], [False, True, True], [True, False, False]]
    sure = DecisionRule(("a", "b", "c"), False, cutoff=0.7).predictions(logits, {})
    assert (sure.sets.argmax(1) == sure.labels).all()
    assert (sure.sets.sum(1) == 1).all()
    assert DecisionRule(("a", "b", "c"), False).predictions(logits, {}).sets is None


def test_sets_of_several_labels():
    logits = torch.tensor([[0.9, 0.4, 0.1], [0.1, 0.1, 0.1]]).logit()
    told = DecisionRule(("a", "b", "c"), True, cutoff=0.3).predictions(logits, {})
    assert told.sets.tolist() == [[True, True, False], [False, False, False]]


def test_what_is_stored_is_read_alike():
    several = DecisionRule(
        ("a", "b"), True, 1.7, -2.0, 80, 0.15, (0.4, 0.5), FamiliarityScale((1.0, 2.0, 3.0), (0.1, 0.2, 0.3), -9.0, 80)
    )
    assert DecisionRule.restored(("a", "b"), True, json.loads(json.dumps(several.json()))) == several
    assert DecisionRule.restored(("a", "b"), False, {"temperature": 2.0, "threshold": 1.0}).cutoff is None


def test_rows_that_cannot_be_read_stay_in_their_place():
    error = PictureError("the file is empty", "x.png")
    whole = torch.stack((LOGITS[0], torch.full((2,), torch.nan), LOGITS[1]))
    told = DecisionRule(("a", "b"), False, cutoff=0.0).predictions(whole, {1: error})
    assert told.sets.tolist() == [[True, True], [False, False], [True, True]]
    assert told.names == ["a", "", "b"]
    assert told.labels.tolist() == [0, -1, 1]
    assert told.unknown.tolist() == [False, True, False]
    assert np.isnan(told.probabilities[1]).all()
    assert told.errors[1] is error
