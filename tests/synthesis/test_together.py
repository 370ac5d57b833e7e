"""Two real processes under ``torchrun`` train each of the three through the command line: one writes, both agree."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.artefact import read

PROGRAM = """
import os, sys
import torch
from diptych.cli.app import run
from diptych.engine import loop, machine
from diptych.synthesis import synthesizer
from diptych.synthesis.training import monitor

machine.MAX_TRIAL_SECONDS, machine.MIN_TRIAL_STEPS = 0.02, 1  # as in tests/conftest.py
loop.TICKS = 4
# Evaluate at every tick.
monitor.MIN_RUN_SECONDS, monitor.PLANNED_TIME_SHARE, monitor.MAX_SAMPLES = 0.0, 1e6, 32
fitted = []
describe = synthesizer.Synthesizer._describe
synthesizer.Synthesizer._describe = lambda model, job: (fitted.append(model), describe(model, job))[1]
for kind, options in (("gan", []), ("vae", []), ("flow", ["--steps", "2"])):
    options += ["--epochs", "1", "--batch", "16", "--json"]
    code = run(["fit", kind, sys.argv[1], "-o", f"{sys.argv[2]}/{kind}", *options])
    assert code == 0, code
    weights = {f"{name}.{k}": t for name, m in fitted[-1].modules_.items() for k, t in m.state_dict().items()}
    torch.save(weights, f"{sys.argv[2]}/{kind}-{os.environ['RANK']}.pt")
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, str, str]:
    """Where two processes put the three models, what they printed, and their notes."""
    folder = tmp_path_factory.mktemp("together")
    draw = np.random.default_rng(0)
    for i in range(120):
        path = folder / "photos" / ("dark", "bright")[i % 2]
        path.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 120, (8, 8, 3)) + 120 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(path / f"{i:03}.png")
    (folder / "photos" / "dark" / "empty.png").touch()  # which is named, and no failure of a process
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [*command, str(folder / "program.py"), str(folder / "photos"), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


@pytest.mark.parametrize("kind", ["gan", "vae", "flow"])
def test_both_processes_end_with_the_weights_that_one_of_them_wrote(together, kind):
    first, second = (torch.load(together[0] / f"{kind}-{rank}.pt") for rank in (0, 1))
    written = read(together[0] / kind, kind).weights
    assert first.keys() == second.keys() == written.keys()
    for name, tensor in written.items():
        assert torch.equal(first[name], tensor), name
        assert torch.equal(second[name], tensor), name


@pytest.mark.parametrize("kind", ["gan", "vae", "flow"])
def test_one_process_writes_and_prints(together, kind):
    rows = [json.loads(line) for line in together[1].splitlines() if line.startswith("{")]
    assert [row["kind"] for row in rows] == ["gan", "vae", "flow"]
    records = [json.loads(line) for line in (together[0] / kind / "history.jsonl").read_text().splitlines()]
    moments = [record["seen_pictures"] for record in records]
    assert moments == sorted(set(moments))
    assert all("kernel_distance" in record["scores"] for record in records)
    assert not (together[0] / kind / "checkpoint").exists()


def test_one_process_speaks(together):
    notes = together[2].splitlines()
    for start in ("Chosen: networks of ", f"{together[0] / 'photos'}: 121 pictures of 2 classes."):
        assert sum(note.startswith(start) for note in notes) == 3, together[2]
    assert "empty.png" in together[2]
