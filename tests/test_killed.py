"""Every kind of model, killed at random moments and run again, ends with bit for bit the same weights."""

import random
from collections.abc import Iterator

import pytest

from tests.killing import Fit, Nursery, assert_history_is_whole, final_weights, write_few_digits

KILLS = 2  # more of them in tests/soak
OPTIONS = {  # twenty steps and more, each of two seconds' work
    "recognizer": ["--epochs", "12", "--batch", "16"],
    "recognizer, pretrained": ["--epochs", "2", "--batch", "16"],
    "gan": ["--epochs", "3", "--batch", "16"],
    "vae": ["--latent", "4", "--epochs", "3", "--batch", "16"],
    "flow": ["--steps", "2", "--epochs", "2", "--batch", "16"],
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(checkpoint_seconds=0.1)  # so that a kill comes after several of them, or within one
    yield nursery
    nursery.close()


@pytest.mark.parametrize("kind", OPTIONS)
def test_killed_twice_first_in_its_first_second_the_weights_are_those_of_the_uninterrupted_run(kind, nursery, tmp_path):
    data = write_few_digits(tmp_path / "digits.npz")
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors", data, OPTIONS[kind])
    seconds = fit.run(tmp_path / "whole")
    moments = random.Random(kind)
    kills, rounds = 0, 0
    while kills < KILLS:
        folder = tmp_path / f"killed-{rounds}"
        rounds += 1
        while kills < KILLS and not (folder / "model.json").exists():
            kills += fit.kill_after(moments.uniform(0, 0.7 * seconds if kills else 1), folder)
        fit.run(folder)
        assert final_weights(folder) == final_weights(tmp_path / "whole")
        assert_history_is_whole(folder)
