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
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

KILLS = 5
COMMANDS = {
    "recognizer": ["--network", "convnet", "--epochs", "15"],
    "recognizer, pretrained": ["--network", "timm:test_vit@{weights}", "--size", "16", "--epochs", "1"],
    "gan": ["--epochs", "3"],
    "vae": ["--epochs", "2"],
    "flow": ["--epochs", "1"],
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

    def exit_code(self) -> int:
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()  # closes both pipes, which ends it


@dataclass
class Fit:
    """``diptych fit`` of one kind of model in processes of a nursery; ``weights`` is a file for the pretrained one."""

    kind: str
    nursery: Nursery
    weights: Path

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        save_file(timm.create_model("test_vit").state_dict(), self.weights)

    def command(self, folder: Path) -> list[str]:
        options = [word.format(weights=self.weights) for word in COMMANDS[self.kind]]
        return ["fit", self.kind.partition(",")[0], "digits", "-o", str(folder), *options]

    def run(self, folder: Path) -> float:
        """Run to the end; the seconds that took."""
        start = time.monotonic()
        self.nursery.start(self.command(folder))
        assert self.nursery.exit_code() == 0
        return time.monotonic() - start

    def kill_after(self, seconds: float, folder: Path) -> bool:
        """Run and kill; whether it was still running."""
        pid = self.nursery.start(self.command(folder))
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGKILL)
        return self.nursery.exit_code() == -signal.SIGKILL


def final_weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def assert_history_is_whole(folder: Path) -> None:
    history = [json.loads(line)["seen_pictures"] for line in (folder / "history.jsonl").read_text().splitlines()]
    assert history == sorted(set(history))
    assert len(history) == 20


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_five_times_the_final_weights_are_those_of_the_uninterrupted_run(kind, nursery, tmp_path):
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors")
    fit.run(tmp_path / "first")  # the machine's trial is run and remembered
    seconds = fit.run(tmp_path / "whole")
    moments = random.Random(kind)
    kills, rounds = 0, 0
    while kills < KILLS:
        folder = tmp_path / f"killed-{rounds}"
        rounds += 1
        while kills < KILLS and not (folder / "model.json").exists():
            kills += fit.kill_after(moments.uniform(0, 0.7 * seconds), folder)
        fit.run(folder)
        assert final_weights(folder) == final_weights(tmp_path / "whole")
        assert_history_is_whole(folder)


def kill_in_the_first_second(fit: Fit, folder: Path, moments: random.Random, times: int) -> None:
    """Kill as many runs of one command in their first second; each time the command is taken up again."""
    for _ in range(times):
        fit.kill_after(moments.uniform(0, 1), folder)
    fit.run(folder)
    assert_history_is_whole(folder)


@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_in_the_first_second_the_same_command_goes_through(kind, nursery, tmp_path):
    fit = Fit(kind, nursery, tmp_path / "weights.safetensors")
    kill_in_the_first_second(fit, tmp_path / "killed", random.Random(kind), times=1)
