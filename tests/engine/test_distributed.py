"""Two real processes under ``torchrun`` train what one process trains."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from diptych.engine import loop

PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
from diptych.engine import loop
from diptych.engine.loop import Run
from diptych.engine.processes.agreement import agree
from diptych.engine.task import Recipe
from diptych.errors import UsageError
sys.path.insert(0, sys.argv[2])
import tiny
task = tiny.Tiny(noisy=True)
folder = Path(sys.argv[1])
recipe = Recipe(batch=16, pictures=640, half_life=50)
loop.MIN_CHECKPOINT_SECONDS, loop.MAX_CHECKPOINT_SHARE = 0.0, 1e6  # one after every step
run = Run(task, tiny.images(), size=8, recipe=recipe, folder=folder / "run", settings={"data": sys.argv[4:]})
ticks, begun = [], run.seen_pictures
for tick in run:
    ticks.append(tick)
    if run.group.rank == 1 and "kill" in sys.argv[3] and tick.seen_pictures - begun > 200:
        os.kill(os.getpid(), signal.SIGKILL)
torch.save([tiny.weights(task), ticks[-1].losses], f"{folder}/result-{run.group.rank}.pt")
try:
    agree(run.group, {"data": f"the pictures of host {run.group.rank}", "lr": 1.0})
except UsageError as error:
    print(error, flush=True)
"""


def launch(folder: Path, processes: int, *words: str, restarts: int = 0) -> subprocess.CompletedProcess | None:
    """Run the program: alone in this process, or in processes under ``torchrun``."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    words = (str(program), str(folder), str(Path(__file__).parent), *(words or ("",)))
    if processes == 1:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", list(words))
            patch.setattr(sys, "path", [*sys.path])
            patch.setattr(loop, "MIN_CHECKPOINT_SECONDS", loop.MIN_CHECKPOINT_SECONDS)
            patch.setattr(loop, "MAX_CHECKPOINT_SHARE", loop.MAX_CHECKPOINT_SHARE)
            runpy.run_path(words[0])
        return None
    options = ["--standalone", f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    command = [sys.executable, "-m", "torch.distributed.run", *options]
    return subprocess.run([*command, *words], timeout=300, capture_output=True, text=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The weights and the last losses of one process."""
    folder = tmp_path_factory.mktemp("alone")
    launch(folder, 1)
    return torch.load(folder / "result-0.pt")


def assert_is_the_model_of(alone, other) -> None:
    """The same but for rounding.

    A bias in front of batch norm has no gradient but rounding, which AdamW enlarges; it changes nothing but the mean.
    """
    for name, tensor in alone[0].items():
        if name not in ("reader.0.bias", "reader.1.running_mean"):
            torch.testing.assert_close(tensor, other[0][name], rtol=1e-4, atol=1e-5)
    for player, loss in alone[1].items():
        assert loss == pytest.approx(other[1][player], abs=1e-5)


def test_two_processes_train_the_same_model_as_one(alone, tmp_path):
    done = launch(tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 20
    first, second = (torch.load(tmp_path / f"result-{rank}.pt") for rank in (0, 1))
    assert first[1] == second[1]
    for name, tensor in first[0].items():
        assert torch.equal(tensor, second[0][name]), name
    assert_is_the_model_of(alone, first)
    assert done.stdout.count("Processes 0 and 1 do not train the same run; what differs: the pictures.") == 2


def test_one_process_ends_what_two_began_of_which_one_was_killed(alone, tmp_path):
    assert launch(tmp_path, 2, "kill").returncode != 0
    records = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert 200 < json.loads(records[-1])["seen_pictures"] < 400
    launch(tmp_path, 1)
    assert_is_the_model_of(alone, torch.load(tmp_path / "result-0.pt"))
