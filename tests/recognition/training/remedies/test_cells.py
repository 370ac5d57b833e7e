"""Cells of class and group, what is held out of them, and what is refused."""

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.recognition.training.remedies.cells import Cells, check_column
from tests.audit.planted import noise

N = 60
LABELS = np.arange(N) % 2
CAMERA = np.where(np.arange(N) < 50, np.where(LABELS, "studio", "phone"), np.where(LABELS, "phone", "studio"))


def images(n: int = N, labels=LABELS, **groups) -> Images:
    return Images.from_arrays(noise(n, 8, 0), labels, classes=("cat", "dog"), groups=groups)


def test_cells_are_the_classes_in_each_group():
    cells = Cells.of(images(camera=CAMERA), "camera")
    assert cells.names == (
        "cat where camera is phone", "cat where camera is studio",
        "dog where camera is phone", "dog where camera is studio",
    )  # fmt: skip
    assert cells.labels.tolist() == [0, 0, 1, 1]
    assert cells.counts.tolist() == [25, 5, 5, 25]
    assert (cells.labels[cells.numbers] == LABELS).all()


def test_only_cells_that_occur_count():
    assert len(Cells.of(images(camera=np.where(LABELS, "studio", "phone")), "camera").names) == 2


def test_as_many_of_each_cell_are_held_out_and_at_most_half():
    cells = Cells.of(images(camera=CAMERA), "camera")
    training, held_out = cells.hold_out(0)
    assert sorted([*training, *held_out]) == list(range(N))
    assert cells.rows(held_out).counts.tolist() == [4, 2, 2, 4]
    assert (cells.hold_out(0)[1] == held_out).all()


def test_too_few_in_a_cell_are_refused_with_what_to_do():
    camera = np.where(np.arange(N) == 0, "studio", np.where(LABELS, "studio", "phone"))
    with pytest.raises(DataError, match=r"fewer than 4 pictures of cat where camera is studio; .* Add some, or leave"):
        check_column(images(camera=camera), "camera")


def test_columns_that_are_no_groups_are_refused():
    with pytest.raises(UsageError, match=r"no column 'light' to make groups of. Their columns are: camera"):
        check_column(images(camera=CAMERA), "light")
    with pytest.raises(UsageError, match="60 different values; a remedy needs 2 to 20 groups"):
        check_column(images(file=np.arange(N)), "file")
    with pytest.raises(UsageError, match="one label each"):
        check_column(images(labels=np.ones((N, 2), bool), camera=CAMERA), "camera")
