"""Processes of ``torchrun`` that are killed and started again end as if nothing had been: ``make soak``."""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diptych.artefact import read

pytestmark = pytest.mark.soak

KILLS = 10
OPTIONS = ["--network", "convnet", "--epochs", "20", "--batch", "64", "--seed", "1"]


def start(folder: Path, log: Path, where: tuple[str, ...] = ("--standalone", "--nproc-per-node=2")) -> subprocess.Popen:
    launcher = [*where, "--max-restarts=1", "--monitor-interval=0.2"]
    command = [sys.executable, "-m", "torch.distributed.run", *launcher, "-m", "diptych", "fit", "recognizer"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("w") as file:
        return subprocess.Popen(
            [*command, "digits", "-o", str(folder), *OPTIONS], stdout=file, stderr=file, env=environment
        )


def workers(launcher: int) -> list[int]:
    """The processes that train, from /proc."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(pid) for pid in children if b"RANK=" in Path(f"/proc/{pid}/environ").read_bytes()]


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["losses"]["network"] for line in (folder / "history.jsonl").read_text().splitlines()]


def kill_one(run: subprocess.Popen, folder: Path, moments: random.Random) -> int:
    """Kill one of the processes a while after the first checkpoint; returns the pictures of the newest one."""
    latest = folder / "checkpoint" / "latest"
    deadline = time.monotonic() + 120
    while not latest.exists():
        assert time.monotonic() < deadline, "no checkpoint has been written"
        assert run.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.02)
    time.sleep(moments.uniform(0, 1))
    pictures = int(latest.read_text())
    os.kill(moments.choice(workers(run.pid)), signal.SIGKILL)
    return pictures


def test_two_launchers_as_on_two_hosts_end_with_the_weights_of_one(tmp_path):
    assert start(tmp_path / "one", tmp_path / "one.log").wait(300) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"--rdzv-endpoint=127.0.0.1:{free.getsockname()[1]}"
    hosts = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=hosts", place)
    runs = [start(tmp_path / "two", tmp_path / f"{rank}.log", (*hosts, f"--node-rank={rank}")) for rank in range(2)]
    assert [run.wait(300) for run in runs] == [0, 0]
    weights = read(tmp_path / "one", "recognizer").weights
    for name, tensor in read(tmp_path / "two", "recognizer").weights.items():
        assert tensor.equal(weights[name]), name


def test_ten_times_of_ten_a_killed_process_costs_at_most_the_work_since_the_last_checkpoint(tmp_path):
    seed = secrets.randbits(32)
    moments = random.Random(seed)
    assert start(tmp_path / "whole", tmp_path / "whole.log").wait(300) == 0
    expected, weights = losses(tmp_path / "whole"), read(tmp_path / "whole", "recognizer").weights
    for number in range(KILLS):
        folder, log = tmp_path / f"{number}", tmp_path / f"{number}.log"
        run = start(folder, log)
        saved = kill_one(run, folder, moments)
        assert run.wait(300) == 0, f"seed {seed}: {log.read_text()[-2000:]}"
        resumed = [line for line in log.read_text().splitlines() if "Continuing after" in line]
        assert resumed, f"seed {seed}"
        assert int(resumed[0].split("after ")[1].split()[0].replace(",", "")) >= saved, f"seed {seed}"
        # Their means over the processes are rounded once more where a checkpoint lies between; the weights are equal.
        assert losses(folder) == pytest.approx(expected, rel=1e-6), f"seed {seed}"
        for name, tensor in read(folder, "recognizer").weights.items():
            assert tensor.equal(weights[name]), f"seed {seed}: {name}"
