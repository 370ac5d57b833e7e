"""Runs that are killed again and again, at other moments each time the test runs: ``make soak``."""

import random
import secrets
from collections.abc import Iterator

import pytest

from tests.test_killed import COMMANDS, Fit, Nursery, assert_history_is_whole, final_weights, kill_in_the_first_second

pytestmark = pytest.mark.soak

KILLS = 10  # of each kind of model, fifty in all
TRIES = 100  # at most, so that a run that no kill meets any more does not hang the test


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_often_in_one_folder_the_final_weights_are_those_of_the_uninterrupted_run(kind, nursery, tmp_path):
    seed = secrets.randbits(32)
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors")
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


@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_ten_times_in_the_first_second_the_same_command_goes_through(kind, nursery, tmp_path):
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors")
    kill_in_the_first_second(fit, tmp_path / "killed", random.Random(secrets.randbits(32)), KILLS)
