"""Every kind of model, killed while it is trained further: it can be loaded all the while, and the command resumes."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych import artefact, load
from diptych.engine import checkpoint
from tests.test_killed import Nursery

MINUTES = {"recognizer, pretrained": 0.3}  # a head is fitted before there is a run to be killed
OTHER_MINUTES = 0.06
COMMANDS = {
    "recognizer": ["--network", "convnet", "--epochs", "2"],
    "recognizer, pretrained": ["--network", "timm:test_vit@{weights}", "--size", "16", "--epochs", "1"],
    "gan": ["--epochs", "1"],
    "vae": ["--epochs", "1"],
    "flow": ["--epochs", "1"],
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def command(kind: str, folder: Path) -> list[str]:
    weights = folder.with_name("weights.safetensors")
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), weights)
    options = [word.format(weights=weights) for word in COMMANDS[kind]]
    return ["fit", kind.partition(",")[0], "digits", "-o", str(folder), *options]


def kill(pid: int, folder: Path, moment: Callable[[], bool]) -> None:
    """Read the model again and again while it is trained further; kill that when the moment has come."""
    deadline = time.monotonic() + 60
    while not moment() and time.monotonic() < deadline:
        artefact.read(folder)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def seen_pictures(folder: Path) -> int:
    """Of the unfinished extension's last checkpoint."""
    state = checkpoint.load(folder / "extension")
    return 0 if state is None else int(state["seen_pictures"])


@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_it_resumes_the_same_extension_and_the_model_can_be_loaded_all_the_while(kind, nursery, tmp_path):
    folder, minutes = tmp_path / "model", MINUTES.get(kind, OTHER_MINUTES)
    fit = command(kind, folder)
    nursery.start(fit)
    assert nursery.exit_code() == 0
    first, facts = (folder / "weights.safetensors").read_bytes(), artefact.facts(folder)
    early = time.monotonic() + random.Random(kind).uniform(0.05, 0.4)
    moments = [lambda: time.monotonic() > early, lambda: (folder / "extension" / "checkpoint" / "latest").exists()]
    for moment in moments:
        kill(nursery.start([*fit, "--more", str(minutes)]), folder, moment)
        assert nursery.exit_code() == -signal.SIGKILL
        assert (folder / "weights.safetensors").read_bytes() == first
        assert artefact.facts(folder) == facts
    seen = seen_pictures(folder)
    assert seen > 0

    nursery.start([*fit, "--more", str(minutes)])
    assert nursery.exit_code() == 0
    (record,) = artefact.facts(folder)["extensions"]
    assert record["minutes"] == minutes
    assert record["seconds"] < 60 * minutes + 30  # what came before the kills included
    assert not (folder / "extension").exists()
    last = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])["seen_pictures"]
    extended = record["result"] == "extended"
    assert last >= facts["seen_pictures"] + seen if extended else last == facts["seen_pictures"]
    assert ((folder / "weights.safetensors").read_bytes() == first) != extended
    load(folder)
