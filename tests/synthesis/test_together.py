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
from diptych.synthesis import synthesizer, watching

watching.SHORTEST_SECONDS, watching.PLANNED_SHARE, watching.MOST_JUDGED = 0.0, 1e6, 32  # look at every tick
fitted = []
describe = synthesizer.Synthesizer._describe
synthesizer.Synthesizer._describe = lambda model, *more: (fitted.append(model), describe(model, *more))[1]
for kind in ("gan", "vae", "flow"):
    code = run(["fit", kind, sys.argv[1], "-o", f"{sys.argv[2]}/{kind}", "--epochs", "1", "--batch", "16", "--json"])
    assert code == 0, code
    weights = {f"{name}.{k}": t for name, m in fitted[-1].modules_.items() for k, t in m.state_dict().items()}
    torch.save(weights, f"{sys.argv[2]}/{kind}-{os.environ['RANK']}.pt")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """Where two processes put the three models, and what they printed."""
    folder = tmp_path_factory.mktemp("together")
    draw = np.random.default_rng(0)
    for i in range(120):
        place = folder / "photos" / ("dark", "bright")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 120, (8, 8, 3)) + 120 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i:03}.png")
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [*command, str(folder / "program.py"), str(folder / "photos"), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.parametrize("kind", ["gan", "vae", "flow"])
def test_both_processes_end_with_the_weights_that_one_of_them_wrote(made, kind):
    first, second = (torch.load(made[0] / f"{kind}-{rank}.pt") for rank in (0, 1))
    written = read(made[0] / kind, kind).weights
    assert first.keys() == second.keys() == written.keys()
    for name, tensor in written.items():
        assert torch.equal(first[name], tensor), name
        assert torch.equal(second[name], tensor), name


@pytest.mark.parametrize("kind", ["gan", "vae", "flow"])
def test_one_process_writes_and_speaks(made, kind):
    told = [json.loads(line) for line in made[1].splitlines() if line.startswith("{")]
    assert [line["kind"] for line in told] == ["gan", "vae", "flow"]
    records = [json.loads(line) for line in (made[0] / kind / "history.jsonl").read_text().splitlines()]
    seen = [record["seen_pictures"] for record in records]
    assert seen == sorted(set(seen))
    assert all("kernel_distance" in record["scores"] for record in records)
    assert not (made[0] / kind / "checkpoint").exists()
