import pytest

import diptych
from diptych.data.images import Images
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


def test_what_was_chosen_is_one_sentence(caplog):
    images = Images.open("digits")[:40]
    with caplog.at_level("INFO", "diptych"):
        diptych.VAE(epochs=1, latent=4).fit(images)
    (chosen,) = [message for message in caplog.messages if message.startswith("Chosen: ")]
    assert "trained on 40 pictures in all, at 8 px, in batches of " in chosen
    assert not set(chosen) & set("{}[]_=")
