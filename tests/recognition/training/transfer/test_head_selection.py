import time

import numpy as np
import torch

from diptych.recognition.networks.neighbours import NeighboursHead
from diptych.recognition.training.transfer.head_selection import LOGISTIC, NEIGHBOURS, select_head
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LinearHead


def folds(n):
    return [np.arange(start, n, 5) for start in range(5)]


def accuracy(labels):
    return lambda logits, rows: float((logits.argmax(1) == labels[torch.from_numpy(rows)]).float().mean())


def rings(n=300):
    """Three classes, each two clouds on opposite sides in two of eight directions: no linear head can tell them."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    angle = labels * torch.pi / 3 + torch.pi * torch.randint(0, 2, (n,), generator=draw) + 0.02 * labels
    centres = torch.zeros(n, 8)
    centres[:, 0], centres[:, 1] = 8 * angle.cos(), 8 * angle.sin()
    return LabelledFeatures(centres + torch.randn(n, 8, generator=draw), labels)


def test_neighbours_are_chosen_where_no_linear_head_suffices():
    features = rings()
    selection = select_head(features, 3, folds(300), accuracy(features.labels))
    assert selection.name == NEIGHBOURS
    assert isinstance(selection.head, NeighboursHead)
    assert selection.scores[NEIGHBOURS] > max(s for name, s in selection.scores.items() if name != NEIGHBOURS) + 0.1
    assert isinstance(selection.linear, LinearHead)
    again = selection.fit(features)
    assert torch.equal(again(features.features), selection.head(features.features))


def test_of_several_labels_only_logistic_regression_is_fitted():
    features = rings()
    labels = torch.nn.functional.one_hot(features.labels, 3).float()
    selection = select_head(LabelledFeatures(features.features, labels), 3, folds(300), lambda *_: 0.0)
    assert selection.name == LOGISTIC
    assert selection.head is selection.linear
    assert not selection.scores


def test_without_time_a_head_is_fitted_all_the_same():
    features = rings()
    selection = select_head(features, 3, folds(300), accuracy(features.labels), until=time.monotonic() - 1)
    assert LOGISTIC not in selection.scores
    assert selection.linear.weight.shape == (3, 8)
