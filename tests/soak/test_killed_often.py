"""Runs that are killed again and again, at other moments each time the test runs: ``make soak``."""

import json
import os
import random
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from diptych.data.images import Images
from diptych.data.packing.pack import pack
from tests.killing import Fit, Nursery, assert_history_is_whole, final_weights, write_few_digits

pytestmark = pytest.mark.soak

KILLS = 10  # of each kind of model, fifty in all
TRIES = 100  # at most, so that a run that no kill meets any more does not hang the test
EACH = int(os.environ.get("KILLS", "50"))  # of each of the four kinds, each kill with a run of its own: `make kills`
SHORT = {  # a few steps, each with a checkpoint, of each of these kinds
    "recognizer": ["--epochs", "2", "--batch", "32"],
    "gan": ["--epochs", "1", "--batch", "32"],
    "vae": ["--latent", "4", "--epochs", "1", "--batch", "32"],
    "flow": ["--steps", "2", "--epochs", "1", "--batch", "32"],
}
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "kills.json"
HEAD = """# Runs that are killed at random moments

Measured by `make kills`: each run of `diptych fit` is killed (SIGKILL) once, at a moment drawn evenly between its start
and the seconds that an uninterrupted run took, and the same command is run again. *Equal* are final weights that are
those of the uninterrupted run, byte for byte. 240 digits of 8 × 8 pixels, a checkpoint after each step, on a processor.
A run that is over before the kill does not count.

| kind | kills | equal weights | earliest kill | latest kill | seconds of a run |
|---|---:|---:|---:|---:|---:|"""
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


@pytest.mark.parametrize("kind", SHORT)
def test_each_run_that_is_killed_once_ends_with_the_weights_of_the_uninterrupted_run(kind, tmp_path):
    nursery, seed = Nursery(checkpoint_seconds=0.0), secrets.randbits(32)
    data, moments = write_few_digits(tmp_path / "digits.npz"), random.Random(seed)
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors", data, SHORT[kind])
    fit.run(tmp_path / "first")  # the machine's trial is run and remembered
    seconds = fit.run(tmp_path / "whole")
    rows = []
    while len(rows) < EACH and not (rows and rows[-1]["equal"] is False):
        moment, folder = moments.uniform(0, seconds), tmp_path / f"{len(rows)}"
        if fit.kill_after(moment, folder):  # else the run was over before
            fit.run(folder)
            equal = final_weights(folder) == final_weights(tmp_path / "whole")
            rows.append({"seed": seed, "second": round(moment, 2), "of": round(seconds, 2), "equal": equal})
            write_kills(kind, rows)
        shutil.rmtree(folder)
    nursery.close()
    assert all(row["equal"] for row in rows), rows[-1]


def test_killed_in_the_middle_of_an_epoch_of_a_packed_set_the_weights_are_the_same(tmp_path):
    nursery, seed = Nursery(checkpoint_seconds=0.0), secrets.randbits(32)
    pack(Images.open(write_few_digits(tmp_path / "digits.npz")), tmp_path / "packed")
    fit = Fit("recognizer", nursery, tmp_path / "weights.safetensors", str(tmp_path / "packed"), SHORT["recognizer"])
    fit.run(tmp_path / "first")  # the machine's trial is run and remembered
    seconds = fit.run(tmp_path / "whole")
    moments, kills = random.Random(seed), 0
    for number in range(KILLS):
        folder = tmp_path / f"{number}"
        kills += fit.kill_after(moments.uniform(0, seconds), folder)
        fit.run(folder)
        assert final_weights(folder) == final_weights(tmp_path / "whole"), f"seed {seed}"
    nursery.close()
    assert kills > KILLS / 2


def write_kills(kind: str, rows: list[dict[str, int | float | bool]]) -> None:
    """Put the kills of this kind into the results, as JSON and as a table; the other kinds' stay as they were."""
    kills = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kills[kind] = rows
    of_kinds = [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, kills[name])) + "\n ]" for name in kills]
    RESULTS.write_text("{\n" + ",\n".join(of_kinds) + "\n}\n")
    RESULTS.with_suffix(".md").write_text(kills_table(kills))


def kills_table(kills: dict[str, list[dict[str, int | float | bool]]]) -> str:
    lines = [HEAD]
    for kind, rows in ((kind, kills[kind]) for kind in SHORT if kind in kills):
        moments, equal = [row["second"] for row in rows], sum(row["equal"] for row in rows)
        lines.append(f"| {kind} | {len(rows)} | {equal} | {min(moments)} s | {max(moments)} s | {rows[-1]['of']} |")
    return "\n".join(lines) + "\n"
