"""``diptych fit`` in processes that a test kills, and the small data that they train on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from diptych.data.images import Images

NETWORKS = {
    "recognizer": ["--network", "convnet"],
    "recognizer, pretrained": ["--network", "timm:test_vit@{weights}", "--size", "16"],
    "gan": [],
    "vae": [],
    "flow": [],
}


class Nursery:
    """Starts commands in processes of their own, see nursery.py.

    ``checkpoint_seconds`` is the least time between two checkpoints of a run; ``None``: as everywhere.
    """

    def __init__(self, checkpoint_seconds: float | None = None) -> None:
        program = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
        arguments = [] if checkpoint_seconds is None else [str(checkpoint_seconds)]
        self.process = subprocess.Popen(
            [*program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

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
    data: str
    options: Sequence[str]

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        save_file(timm.create_model("test_vit").state_dict(), self.weights)

    def command(self, folder: Path) -> list[str]:
        network = [word.format(weights=self.weights) for word in NETWORKS[self.kind]]
        return ["fit", self.kind.partition(",")[0], self.data, "-o", str(folder), *network, *self.options]

    def run(self, folder: Path, *more: str) -> float:
        """Run to the end; the seconds that took."""
        start = time.monotonic()
        self.nursery.start([*self.command(folder), *more])
        assert self.nursery.exit_code() == 0
        return time.monotonic() - start

    def kill_after(self, seconds: float, folder: Path) -> bool:
        """Run and kill; whether it was still running."""
        pid = self.nursery.start(self.command(folder))
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGKILL)
        return self.nursery.exit_code() == -signal.SIGKILL


def write_few_digits(path: Path) -> str:
    """An .npz file of 240 digits; returns its path."""
    digits = Images.open("digits")[:240]
    np.savez(path, pixels=np.stack([digits.picture(row) for row in range(240)]), labels=digits.labels)
    return str(path)


def final_weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def assert_history_is_whole(folder: Path) -> None:
    history = [json.loads(line)["seen_pictures"] for line in (folder / "history.jsonl").read_text().splitlines()]
    assert history == sorted(set(history))
    assert len(history) == 20
