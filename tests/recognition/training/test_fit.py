import math

import numpy as np
import torch

from diptych import Images
from diptych.recognition.datasets import PreparedData
from diptych.recognition.networks import build
from diptych.recognition.training import fit
from diptych.recognition.training.budget import Budget


def data(validation: int) -> PreparedData:
    labels = np.arange(validation) % 2
    images = Images.from_arrays(np.zeros((validation, 8, 8, 3), np.uint8), labels, classes=("a", "b"))
    return PreparedData(images, images, ("first",), None)


def budget(minutes: float | None, seconds_per_picture: float) -> Budget:
    return Budget(minutes, 0.0, seconds_per_picture, math.inf)


def test_a_first_reading_beside_other_work_is_corrected_by_a_later_one():
    network, sample = build("convnet", classes=2, size=8), torch.zeros(8, 3, 8, 8, dtype=torch.uint8)
    assert budget(1.0, 1e3).measured_again(network, sample).seconds_per_picture < 1
    assert budget(1.0, 1e-12).measured_again(network, sample).seconds_per_picture == 1e-12


def test_a_short_budget_validates_on_fewer_pictures_evenly_over_the_classes_and_notes_it():
    prepared = fit._within_budget(data(1000), budget(1.0, 0.05))
    assert len(prepared.validation) == 120  # a tenth of the minute
    assert prepared.validation.counts() == {"a": 60, "b": 60}
    assert prepared.notes == ("first", "The time budget allows validation on 120 of the 1000 validation pictures.")
    assert len(fit._within_budget(data(1000), budget(1.0, 10.0)).validation) == fit.MIN_VALIDATION


def test_without_a_budget_or_with_time_enough_all_pictures_are_validated_on():
    assert len(fit._within_budget(data(1000), budget(None, 10.0)).validation) == 1000
    assert len(fit._within_budget(data(1000), budget(60.0, 0.001)).validation) == 1000
