"""Two real processes under ``torchrun`` train what one process trains."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = """
import sys
from pathlib import Path
import torch
from diptych.engine.loop import Run
from diptych.engine.task import Recipe
sys.path.insert(0, sys.argv[2])
import tiny
task = tiny.Tiny(noisy=True)
folder = Path(sys.argv[1])
recipe = Recipe(batch=16, pictures=640, half_life=50)
run = Run(task, tiny.images(), size=8, recipe=recipe, folder=folder / "run", settings={})
ticks = list(run)
torch.save([tiny.weights(task), ticks[-1].losses], f"{folder}/result-{run.group.rank}.pt")
"""


def launch(folder: Path, processes: int) -> None:
    """Run the program: alone in this process, or in processes under ``torchrun``."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    words = [str(program), str(folder), str(Path(__file__).parent)]
    if processes == 1:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words)
            patch.setattr(sys, "path", [*sys.path])
            runpy.run_path(words[0])
        return
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run([*command, *words], timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_two_processes_train_the_same_model_as_one(tmp_path):
    results = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        launch(folder, processes)
        results[processes] = [torch.load(p) for p in sorted(folder.glob("result-*.pt"))]
        assert len((folder / "run" / "history.jsonl").read_text().splitlines()) == 20
    (alone, alone_losses), *_ = results[1]
    (first, first_losses), (second, second_losses) = results[2]
    assert first_losses == second_losses
    # A bias in front of batch norm has no gradient but rounding, which AdamW enlarges; it changes only the mean.
    for name in alone:
        assert torch.equal(first[name], second[name])
        if name in ("reader.0.bias", "reader.1.running_mean"):
            continue
        torch.testing.assert_close(alone[name], first[name], rtol=1e-4, atol=1e-5)
    assert abs(alone_losses["reader"] - first_losses["reader"]) < 1e-5
