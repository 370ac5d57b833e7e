import json

import numpy as np
import pytest
import torch

from diptych.errors import ArtefactError, PictureError
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.confidence.ood import FamiliarityScale

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 4.0]])


def test_one_label_per_picture():
    predictions = DecisionRule(("a", "b"), False, temperature=2.0, response_threshold=2.5).predictions(LOGITS, {})
    assert predictions.names == ["a", "b"]
    assert np.allclose(predictions.probabilities, (LOGITS / 2).softmax(1))
    assert predictions.unknown.tolist() == [True, False]  # log(e² + 1) = 2.13, log(1 + e⁴) = 4.02


def test_several_labels_per_picture():
    logits = torch.tensor([[2.0, 1.0], [-1.0, -3.0], [-1.0, 3.0]])
    predictions = DecisionRule(("a", "b"), True).predictions(logits, {})
    assert predictions.names == ["a, b", "", "b"]
    assert predictions.labels.tolist() == [[True, True], [False, False], [False, True]]
    least_certain = torch.maximum(logits.sigmoid(), 1 - logits.sigmoid()).amin(1)
    assert np.allclose(predictions.confidence, least_certain)


def test_labels_are_predicted_from_their_own_thresholds():
    logits = torch.tensor([[0.9, 0.2], [0.2, 0.2], [0.7, 0.9]]).logit()
    predictions = DecisionRule(("a", "b"), True, label_thresholds=(0.8, 0.1)).predictions(logits, {})
    assert predictions.names == ["a, b", "b", "b"]
    assert np.allclose(predictions.confidence, [0.2, 0.2, 0.3])  # of the decision itself


def test_sets_hold_the_labels_over_the_cutoff_and_always_the_predicted_one():
    logits = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.35, 0.45], [0.98, 0.01, 0.01]]).log()
    predictions = DecisionRule(("a", "b", "c"), False, cutoff=0.29).predictions(logits, {})
    assert predictions.sets.tolist() == [[True, True, False], [False, True, True], [True, False, False]]
    strict = DecisionRule(("a", "b", "c"), False, cutoff=0.7).predictions(logits, {})
    assert (strict.sets.argmax(1) == strict.labels).all()
    assert (strict.sets.sum(1) == 1).all()
    assert DecisionRule(("a", "b", "c"), False).predictions(logits, {}).sets is None


def test_sets_of_several_labels():
    logits = torch.tensor([[0.9, 0.4, 0.1], [0.1, 0.1, 0.1]]).logit()
    predictions = DecisionRule(("a", "b", "c"), True, cutoff=0.3).predictions(logits, {})
    assert predictions.sets.tolist() == [[True, True, False], [False, False, False]]


def test_a_rule_is_stored_and_restored():
    rule = DecisionRule(
        ("a", "b"), True, 1.7, -2.0, 80, 0.15, (0.4, 0.5), FamiliarityScale((1.0, 2.0, 3.0), (0.1, 0.2, 0.3), -9.0, 80)
    )
    assert DecisionRule.from_json(("a", "b"), True, json.loads(json.dumps(rule.to_json()))) == rule
    assert DecisionRule.from_json(("a", "b"), False, {"temperature": 2.0, "response_threshold": 1.0}).cutoff is None


def test_pictures_that_cannot_be_read_keep_their_rows():
    error = PictureError("the file is empty", "x.png")
    logits = torch.stack((LOGITS[0], torch.full((2,), torch.nan), LOGITS[1]))
    predictions = DecisionRule(("a", "b"), False, cutoff=0.0).predictions(logits, {1: error})
    assert predictions.sets.tolist() == [[True, True], [False, False], [True, True]]
    assert predictions.names == ["a", "", "b"]
    assert predictions.labels.tolist() == [0, -1, 1]
    assert predictions.unknown.tolist() == [False, True, False]
    assert np.isnan(predictions.probabilities[1]).all()
    assert predictions.errors[1] is error


def test_a_rule_of_an_earlier_version_is_refused_in_words():
    with pytest.raises(ArtefactError, match="earlier version of Diptych"):
        DecisionRule.from_json(("a", "b"), False, {"temperature": 1.0, "energy_threshold": 2.0})
