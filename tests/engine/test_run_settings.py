import pytest

from diptych.engine.run_settings import check_run_settings
from diptych.errors import UsageError


def test_what_is_left_open_and_what_is_above_0_is_accepted():
    check_run_settings()
    check_run_settings(minutes=0.1, batch=1, lr=1e-9)


def test_minutes_and_epochs_exclude_each_other():
    with pytest.raises(UsageError, match=r"either minutes .* or epochs .* not both"):
        check_run_settings(minutes=1, epochs=1)


@pytest.mark.parametrize("name", ["minutes", "epochs", "batch", "lr"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_setting_that_is_not_above_0_is_named(name, value):
    with pytest.raises(UsageError, match=f"{name} must be above 0, not {value}. Leave it out"):
        check_run_settings(**{name: value})
