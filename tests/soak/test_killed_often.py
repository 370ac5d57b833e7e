"""Runs that are killed again and again, at other moments each time the test runs: ``make soak``."""

import os
import random
import secrets
from collections.abc import Iterator

import pytest

from tests.killing import Fit, Nursery, assert_history_is_whole, final_weights, write_few_digits
from tests.test_killed import OPTIONS

pytestmark = pytest.mark.soak

KILLS = 10  # of each kind of model, fifty in all
TRIES = 100  # at most, so that a run that no kill meets any more does not hang the test
EACH = int(os.environ.get("KILLS", "50"))  # of each of the four kinds, each kill with a run of its own: `make kills`
EPOCHS = {"recognizer": 15, "recognizer, pretrained": 1, "gan": 3, "vae": 2, "flow": 1}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(params=EPOCHS)
def fit(request, nursery, tmp_path):
    """The fit of each kind of model, of all digits."""
    options = ["--epochs", str(EPOCHS[request.param])]
    return Fit(request.param, nursery, tmp_path / "weights.safetensors", "digits", options)


def test_killed_often_in_one_folder_the_final_weights_are_those_of_the_uninterrupted_run(fit, tmp_path):
    seed = secrets.randbits(32)
    fit.run(tmp_path / "first")  # the machine's trial is run and remembered
    seconds = fit.run(tmp_path / "whole")
    moments = random.Random(seed)
    folder = tmp_path / "killed"
    # Short enough that several kills meet one and the same run: at its start, between two checkpoints, within one.
    kills = 0
    for _ in range(TRIES):
        kills += fit.kill_after(moments.uniform(0, 0.4 * seconds), folder)
        if kills == KILLS:
            break
    assert kills == KILLS, f"seed {seed}"
    fit.run(folder)
    assert final_weights(folder) == final_weights(tmp_path / "whole"), f"seed {seed}"
    assert_history_is_whole(folder)


def test_killed_ten_times_in_the_first_second_the_same_command_goes_through(fit, tmp_path):
    moments = random.Random(secrets.randbits(32))
    for _ in range(KILLS):
        fit.kill_after(moments.uniform(0, 1), tmp_path / "killed")
    fit.run(tmp_path / "killed")
    assert_history_is_whole(tmp_path / "killed")


@pytest.mark.parametrize("kind", ["recognizer", "gan", "vae", "flow"])
def test_each_run_that_is_killed_once_ends_with_the_weights_of_the_uninterrupted_run(kind, tmp_path):
    nursery, seed = Nursery(checkpoint_seconds=0.1), secrets.randbits(32)
    data, moments = write_few_digits(tmp_path / "digits.npz"), random.Random(seed)
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors", data, OPTIONS[kind])
    fit.run(tmp_path / "first")  # the machine's trial is run and remembered
    seconds = fit.run(tmp_path / "whole")
    kills, equal = 0, 0
    for number in range(4 * EACH):  # at most: some runs are over before the kill
        if fit.kill_after(moments.uniform(0, seconds), tmp_path / f"{number}"):
            fit.run(tmp_path / f"{number}")
            kills += 1
            equal += final_weights(tmp_path / f"{number}") == final_weights(tmp_path / "whole")
        if kills == EACH:
            break
    nursery.close()
    print(f"{kind}: {kills} kills, {equal} equal weights, seed {seed}")
    assert equal == kills == EACH, f"seed {seed}"
