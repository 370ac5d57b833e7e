"""Every kind of model, killed while it is trained further: it can be loaded all the while, and the command resumes."""

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diptych import artefact, load
from diptych.engine import checkpoint
from tests.killing import Fit, Nursery, final_weights, write_few_digits

MINUTES = {"recognizer, pretrained": 0.3}  # a head is fitted before there is a run to be killed
OTHER_MINUTES = 0.04
OPTIONS = {
    "recognizer": ["--epochs", "4"],
    "recognizer, pretrained": ["--epochs", "1"],
    "gan": ["--epochs", "1", "--batch", "16"],
    "vae": ["--latent", "4", "--epochs", "1", "--batch", "16"],
    "flow": ["--steps", "2", "--epochs", "1", "--batch", "16"],
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(checkpoint_seconds=0.1)
    yield nursery
    nursery.close()


def kill(pid: int, folder: Path, moment: Callable[[], bool]) -> None:
    """Read the model again and again while it is trained further; kill that when the moment has come."""
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        while not moment():
            os.kill(pid, 0)
            artefact.read(folder)
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)


def killed_twice(fit: Fit, folder: Path, minutes: float) -> bool:
    """Kill two runs that train the model further; whether neither had ended before, as on a machine with much to do."""
    first, facts = final_weights(folder), artefact.facts(folder)
    early = time.monotonic() + random.Random(fit.kind).uniform(0.05, 0.4)
    moments = [lambda: time.monotonic() > early, lambda: (folder / "extension" / "checkpoint" / "latest").exists()]
    for moment in moments:
        kill(fit.nursery.start([*fit.command(folder), "--more", str(minutes)]), folder, moment)
        if fit.nursery.exit_code() != -signal.SIGKILL:
            return False
        assert final_weights(folder) == first
        assert artefact.facts(folder) == facts
    return True


def seen_pictures(folder: Path) -> int:
    """Of the unfinished extension's last checkpoint."""
    state = checkpoint.load(folder / "extension")
    return 0 if state is None else int(state["seen_pictures"])


@pytest.mark.parametrize("kind", OPTIONS)
def test_killed_it_resumes_the_same_extension_and_the_model_can_be_loaded_all_the_while(kind, nursery, tmp_path):
    folder, minutes = tmp_path / "model", MINUTES.get(kind, OTHER_MINUTES)
    data = "digits" if kind in MINUTES else write_few_digits(tmp_path / "digits.npz")
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors", data, OPTIONS[kind])
    fit.run(folder)
    first, facts = final_weights(folder), artefact.facts(folder)
    shutil.copytree(folder, tmp_path / "first")
    while not killed_twice(fit, folder, minutes):
        minutes *= 2
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "first", folder)
    seen = seen_pictures(folder)
    assert seen > 0

    fit.run(folder, "--more", str(minutes))
    (record,) = artefact.facts(folder)["extensions"]
    assert record["minutes"] == minutes
    assert record["seconds"] < 60 * minutes + 30  # what came before the kills included
    assert not (folder / "extension").exists()
    last = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])["seen_pictures"]
    extended = record["result"] == "extended"
    assert last >= facts["seen_pictures"] + seen if extended else last == facts["seen_pictures"]
    assert (final_weights(folder) == first) != extended
    load(folder)
