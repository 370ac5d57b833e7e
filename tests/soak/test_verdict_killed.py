"""A verdict on digits that is killed five times, at other moments each time the test runs: ``make soak``."""

import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diptych.data.images import Images
from diptych.synthesis.vae import VAE

pytestmark = pytest.mark.soak

KILLS = 5
SHARES = (0.3, 0.2, 0.5)  # PICTURES, what the synthesizer is trained on, TEST


def command(place: Path, folder: Path) -> list[str]:
    inputs = ["verdict", str(place / "pictures.npz"), str(place / "vae"), "--test", str(place / "test.npz")]
    return [sys.executable, "-m", "diptych", *inputs, "-o", str(folder)]


def test_killed_five_times_the_answer_is_that_of_the_uninterrupted_one(tmp_path: Path) -> None:
    pictures, others, test = Images.open("digits").split(*SHARES, seed=0)
    pictures.save(tmp_path / "pictures.npz")
    test.save(tmp_path / "test.npz")
    VAE(epochs=10).fit(others, into=tmp_path / "vae")
    start = time.monotonic()
    subprocess.run(command(tmp_path, tmp_path / "whole"), check=True, capture_output=True)
    seconds = time.monotonic() - start
    seed = secrets.randbits(32)
    moments, kills = random.Random(seed), 0
    while kills < KILLS:
        process = subprocess.Popen(command(tmp_path, tmp_path / "killed"), stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.05, 0.2) * seconds)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"seed {seed}"
        kills += 1
    subprocess.run(command(tmp_path, tmp_path / "killed"), check=True, capture_output=True)
    whole, killed = ((tmp_path / name / "verdict.json").read_bytes() for name in ("whole", "killed"))
    assert killed == whole, f"seed {seed}"
