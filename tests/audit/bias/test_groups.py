"""Groups of pictures by metadata columns, and by two at once."""

import numpy as np
import pytest

from diptych.audit.bias.groups import MAX_VALUES, NO_VALUE, groupings
from diptych.data.images import Images
from diptych.errors import UsageError
from tests.audit.planted import noise

CAMERA = np.array(["phone", "studio", ""] * 10)
LIGHT = np.array(["day", "night"] * 15)


def images(**groups) -> Images:
    return Images.from_arrays(noise(30, 8, 0), np.arange(30) % 2, classes=("a", "b"), groups=groups)


def test_columns_with_few_values_are_groups_and_crossed():
    divisions = groupings(images(camera=CAMERA, light=LIGHT, file=np.arange(30), part=np.full(30, "x")), None)
    assert [division.name for division in divisions] == ["camera", "light", "camera × light"]
    assert divisions[0].values == (NO_VALUE, "phone", "studio")
    assert len(divisions[2].values) == 6
    for division in divisions:
        assert sum(int(division.rows(number).sum()) for number in range(len(division.values))) == 30
    phone_by_night = divisions[2].rows(divisions[2].values.index("phone × night"))
    assert (phone_by_night == ((CAMERA == "phone") & (LIGHT == "night"))).all()


def test_a_cell_that_does_not_occur_stays_with_no_picture():
    division = groupings(images(camera=LIGHT, light=LIGHT), None)[2]
    assert division.rows(division.values.index("day × night")).sum() == 0


def test_named_columns_are_taken_in_their_order():
    divisions = groupings(images(camera=CAMERA, light=LIGHT), ["light"])
    assert [division.name for division in divisions] == ["light"]


def test_a_column_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match=r"no column 'camra'. Their columns are: camera, light"):
        groupings(images(camera=CAMERA, light=LIGHT), ["camra"])


def test_a_column_of_too_many_values_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match=rf"30 different values; groups need at most {MAX_VALUES}. Put ranges"):
        groupings(images(age=np.arange(30)), ["age"])
