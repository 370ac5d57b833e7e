import pytest

from diptych.engine.run_settings import check_length
from diptych.errors import UsageError


def test_a_length_may_be_left_open_and_only_one_is_given():
    check_length(None)
    check_length(0.1)
    check_length(None, 3)
    with pytest.raises(UsageError, match=r"either minutes .* or epochs .* not both"):
        check_length(1, 1)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_length_out_of_range_is_refused(value):
    with pytest.raises(UsageError, match=f"minutes must be a number, 0.001 or more, not {value}. Leave it out"):
        check_length(value)
