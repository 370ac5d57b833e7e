"""Every kind of model, killed at random moments and run again, ends with bit for bit the same weights."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

KILLS = 10
COMMANDS = {
    "recognizer": ["--network", "convnet", "--epochs", "15"],
    "recognizer, pretrained": ["--network", "timm:test_vit@{weights}", "--size", "16", "--epochs", "1"],
    "gan": ["--epochs", "3"],
    "vae": ["--epochs", "4"],
    "flow": ["--epochs", "2"],
}


class Nursery:
    """Starts commands in processes of their own, see nursery.py."""

    def __init__(self) -> None:
        program = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, command: list[str]) -> int:
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()  # closes both pipes, which ends it


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_ten_times_the_final_weights_are_those_of_the_uninterrupted_run(kind, nursery, tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "weights.safetensors")

    def command(folder: Path) -> list[str]:
        options = [word.format(weights=tmp_path / "weights.safetensors") for word in COMMANDS[kind]]
        return ["fit", kind.partition(",")[0], "digits", "-o", str(folder), *options]

    def run(folder: Path) -> float:
        start = time.monotonic()
        nursery.start(command(folder))
        assert nursery.wait() == 0
        return time.monotonic() - start

    run(tmp_path / "first")  # runs the machine's trial and caches its rates
    seconds = run(tmp_path / "uninterrupted")
    expected = (tmp_path / "uninterrupted" / "weights.safetensors").read_bytes()
    delays = random.Random(kind)
    kills, rounds = 0, 0
    while kills < KILLS:
        folder = tmp_path / f"killed-{rounds}"
        rounds += 1
        while kills < KILLS and not (folder / "model.json").exists():
            pid = nursery.start(command(folder))
            time.sleep(delays.uniform(0, 0.7 * seconds))
            with contextlib.suppress(ProcessLookupError):  # it has just finished by itself
                os.kill(pid, signal.SIGKILL)
            kills += nursery.wait() == -signal.SIGKILL
        run(folder)
        assert (folder / "weights.safetensors").read_bytes() == expected
        history = [json.loads(line)["seen_pictures"] for line in (folder / "history.jsonl").read_text().splitlines()]
        assert history == sorted(set(history))
        assert len(history) == 20
