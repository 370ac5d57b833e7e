import numpy as np
import torch

from diptych.errors import PictureError
from diptych.recognition.answers import spread
from diptych.recognition.prediction import Reading

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 4.0]])


def test_one_label_a_picture():
    told = Reading(("a", "b"), False, temperature=2.0, threshold=2.5).predictions(LOGITS, {})
    assert told.names == ["a", "b"]
    assert np.allclose(told.probabilities, (LOGITS / 2).softmax(1))
    assert told.unknown.tolist() == [True, False]  # log(e² + 1) = 2.13, log(1 + e⁴) = 4.02


def test_several_labels_a_picture():
    logits = torch.tensor([[2.0, 1.0], [-1.0, -3.0], [-1.0, 3.0]])
    told = Reading(("a", "b"), True).predictions(logits, {})
    assert told.names == ["a, b", "", "b"]
    assert told.labels.tolist() == [[True, True], [False, False], [False, True]]
    least_sure = torch.maximum(logits.sigmoid(), 1 - logits.sigmoid()).amin(1)
    assert np.allclose(told.confidence, least_sure)


def test_rows_that_cannot_be_read_stay_in_their_place():
    error = PictureError("the file is empty", "x.png")
    whole = spread(LOGITS, np.array([True, False, True]))
    told = Reading(("a", "b"), False).predictions(whole, {1: error})
    assert told.names == ["a", "", "b"]
    assert told.labels.tolist() == [0, -1, 1]
    assert told.unknown.tolist() == [False, True, False]
    assert np.isnan(told.probabilities[1]).all()
    assert told.errors[1] is error
