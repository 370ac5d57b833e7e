import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from diptych import artefact
from diptych.engine import checkpoint
from diptych.errors import UsageError


def test_the_newest_checkpoint_is_loaded_and_the_last_two_remain(tmp_path):
    for seen in (100, 200, 300):
        checkpoint.save(tmp_path, {"x": torch.full((3,), seen), "seen_pictures": seen}, seen)
    assert checkpoint.load(tmp_path)["seen_pictures"] == 300
    remaining = sorted(p.name for p in (tmp_path / "checkpoint").iterdir() if p.is_dir())
    assert remaining == ["000000000200", "000000000300"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "no checksum", "no text"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    for seen in (100, 200):
        checkpoint.save(tmp_path, {"x": torch.zeros(500), "seen_pictures": seen}, seen)
    newest = tmp_path / "checkpoint" / "000000000200"
    data = bytearray((newest / "state.pt").read_bytes())
    if damage == "truncate":
        (newest / "state.pt").write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        (newest / "state.pt").write_bytes(data)
    elif damage == "empty":
        (newest / "state.pt").write_bytes(b"")
    elif damage == "no text":
        for path in (newest / "state.sha256", newest.parent / "latest"):
            path.write_bytes(b"\xff")
    else:
        (newest / "state.sha256").unlink()
    assert checkpoint.load(tmp_path)["seen_pictures"] == 100


def test_a_checkpoint_is_data_and_never_code(tmp_path):
    """A checkpoint that names a function to call is refused, not run."""

    class Harm:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/harmed",)

    checkpoint.save(tmp_path, {"x": Harm()}, 100)
    assert checkpoint.load(tmp_path) is None
    assert not (tmp_path / "harmed").exists()


def test_after_a_kill_while_writing_there_is_always_an_intact_checkpoint(tmp_path):
    program = (
        "import sys, torch; from pathlib import Path; from diptych.engine import checkpoint\n"
        "for seen in range(1, 10**6): checkpoint.save(Path(sys.argv[1]), {'n': seen, 'x': torch.zeros(10**6)}, seen)"
    )
    last = 0
    for delay in (0.05, 0.11, 0.23):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
        while _newest(tmp_path) < 2 and process.poll() is None:
            time.sleep(0.02)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        state = checkpoint.load(tmp_path)
        assert state is not None
        assert state["n"] >= 1
        last = max(last, state["n"])
    assert last > 1


def _newest(folder):
    """The number of the newest checkpoint; 0 if there is none."""
    try:
        return int((folder / "checkpoint" / "latest").read_text())
    except FileNotFoundError:
        return 0


def test_what_kills_left_of_checkpoints_is_deleted_in_time(tmp_path):
    old, new = tmp_path / "checkpoint" / ".000000032.4711", tmp_path / "checkpoint" / ".000000064.4712"
    for draft in (old, new):
        draft.mkdir(parents=True)
        (draft / "state.pt").write_bytes(b"half")
    os.utime(old, (0, 0))
    checkpoint.save(tmp_path, {"step": 1}, 96)
    assert not old.exists()
    assert new.exists()  # another process may be writing to it


def test_the_checkpoints_of_a_finished_run_go_where_a_kill_left_them(tmp_path):
    settings = {"epochs": 1}
    checkpoint.claim(tmp_path, settings)
    checkpoint.save(tmp_path, {"step": 1}, 96)
    artefact.write(tmp_path, {"kind": "vae", "settings": settings}, {"w": torch.zeros(1)})
    assert checkpoint.is_finished(tmp_path, settings)
    assert not (tmp_path / "checkpoint").exists()


def test_a_folder_belongs_to_one_run(tmp_path):
    checkpoint.claim(tmp_path, {"epochs": 10, "seed": 0})
    checkpoint.claim(tmp_path, {"epochs": 10, "seed": 0})
    with pytest.raises(UsageError, match="epochs: 10 there, 20 here"):
        checkpoint.claim(tmp_path, {"epochs": 20, "seed": 0})
    assert not checkpoint.is_finished(tmp_path, {"epochs": 10, "seed": 0})


def test_a_run_keeps_its_length(tmp_path):
    checkpoint.check_length(None, {"minutes": 1})
    checkpoint.check_length(tmp_path, {"minutes": 1})
    checkpoint.claim(tmp_path, {"epochs": 10, "minutes": None, "seed": 0})
    checkpoint.check_length(tmp_path, {"epochs": 10, "minutes": None, "seed": 5})
    with pytest.raises(UsageError, match=r"minutes: none there, 1 here.*continue it by the command that began it"):
        checkpoint.check_length(tmp_path, {"epochs": None, "minutes": 1})


def test_a_run_that_an_earlier_version_began_is_refused(tmp_path):
    run = tmp_path / "checkpoint" / "run.json"
    run.parent.mkdir()
    run.write_text('{"kind": "flow", "epochs": 10}')  # as before the files had a format
    with pytest.raises(UsageError, match="another version of Diptych"):
        checkpoint.claim(tmp_path, {"kind": "flow", "epochs": 10})
    assert run.exists()


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / ".DS_Store").touch()
    checkpoint.claim(tmp_path, {"epochs": 10})
    other = tmp_path / "other" / "checkpoint" / "notes.txt"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(UsageError, match="already contains files that are not a model"):
        checkpoint.claim(tmp_path / "other", {"epochs": 10})
    assert other.exists()


def test_what_an_interrupted_claim_leaves_behind_does_not_stop_the_next(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / ".0123456789ab.draft").touch()
    checkpoint.claim(tmp_path, {"epochs": 10})
    assert checkpoint.stored_settings(tmp_path) == {"epochs": 10}


FAILING_SAVE = """
import resource, signal, sys, torch
from pathlib import Path
from diptych.engine import checkpoint
folder = Path(sys.argv[1])
checkpoint.save(folder, {"x": torch.zeros(10)}, 1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.save(folder, {"x": torch.zeros(10**6)}, 2)
except OSError as error:
    sys.exit(f"{type(error).__name__} {error.strerror} {error.filename}")
"""


def test_a_full_disk_is_an_error_of_the_file_and_leaves_the_checkpoint_before(tmp_path):
    process = subprocess.run([sys.executable, "-c", FAILING_SAVE, str(tmp_path)], capture_output=True, text=True)
    assert process.stderr == f"OSError File too large {tmp_path / 'checkpoint'}\n"
    assert [path.name for path in sorted((tmp_path / "checkpoint").iterdir())] == ["000000000001", "latest"]
    assert checkpoint.load(tmp_path) is not None


def test_an_interruption_waits_until_the_checkpoint_is_written(tmp_path):
    state = {"x": torch.zeros(100_000_000)}
    impatient = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT])
    impatient.start()
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, state, 1)
    assert (tmp_path / "checkpoint" / "latest").exists()
    assert checkpoint.load(tmp_path) is not None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
