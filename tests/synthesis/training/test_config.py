import pytest

from diptych.synthesis.training.config import DEFAULT_EPOCHS, DEFAULT_MINUTES, MAX_SHOWN, MIN_SHOWN, training_length


@pytest.mark.parametrize(
    ("minutes", "epochs", "pictures", "size", "length"),
    [
        (3, None, 100, 32, {"minutes": 3.0}),
        (None, 0.5, 100, 32, {"pictures": 50}),
        (None, 0.001, 100, 32, {"pictures": 1}),
        (None, None, MAX_SHOWN // DEFAULT_EPOCHS - 1, 16, {"pictures": MAX_SHOWN - DEFAULT_EPOCHS}),
        (None, None, 10, 8, {"pictures": MIN_SHOWN}),
        (None, None, 10**9, 8, {"pictures": MAX_SHOWN}),
        (None, None, 100, 64, {"minutes": DEFAULT_MINUTES}),
    ],
)
def test_the_length_of_a_run_by_minutes_epochs_or_what_suits_the_pictures(minutes, epochs, pictures, size, length):
    assert training_length(minutes, epochs, pictures, size) == length
