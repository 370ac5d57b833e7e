"""What only a real process can test: signals, and a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import CommandResult, Terminal


def test_a_signal_saves_and_the_same_command_continues(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    fit = ["fit", "recognizer", str(colours), "-o", str(out), "--network", "convnet", "--epochs"]
    command = [sys.executable, "-m", "diptych", *fit, "4000"]
    notes = ""
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            before = set((out / "checkpoint").glob("0*"))
            while not set((out / "checkpoint").glob("0*")) - before:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
            process.send_signal(number)
            while number == signal.SIGINT and process.poll() is None:  # an impatient person presses Ctrl-C again
                time.sleep(0.02)
                process.send_signal(number)
            output, notes = process.communicate(timeout=60)
        assert process.returncode == 128 + number, notes
        assert output == ""
        assert "Stopped" in notes
        assert "Traceback" not in notes
    assert "The same command continues" in notes
    assert "Continuing after" in notes
    assert "can be used (accuracy" in notes
    assert f"diptych predict {out} PICTURES" in notes
    used, other = diptych.several(["predict", out, colours / "red", "--json"], [*fit, 9])
    assert used.code == 0, used.err
    assert "comes from a run that has not finished" in used.err
    assert used.out.count('"label"') == 24
    assert other.code == 2
    assert "A run keeps its length" in other.err


def test_a_signal_after_the_training_of_a_synthesizer_leaves_a_model_too(colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    fit = [sys.executable, "-m", "diptych", "fit", "flow", str(colours), "-o", str(out), "--epochs", "2"]
    fit += ["--size", "16", "--steps", "4000"]  # whose samples at the end take minutes
    with subprocess.Popen(fit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        history = out / "history.jsonl"
        while not (history.exists() and '"progress": 1.0' in history.read_text()):
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)  # the samples of the draft take as long
        _, notes = process.communicate(timeout=60)
    assert process.returncode == 130, notes
    assert "what the run has so far is saved" in notes
    assert "Error: Stopped. The same command continues it from" in notes


def test_on_a_full_disk_the_run_says_so_and_the_same_command_continues(colours: Path, tmp_path: Path) -> None:
    fit = [sys.executable, "-m", "diptych", "fit", "vae", str(colours), "-o", str(tmp_path / "m"), "--epochs", "2"]
    # No file may grow beyond 100 KB, which is a full disk to the first larger one.
    full = ["bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$@"', "bash", *fit]
    failed = subprocess.run(full, capture_output=True, text=True)
    assert failed.returncode == 1, failed.stderr
    assert "File too large. Make room on that disk; then run the same command again." in failed.stderr
    assert "bug" not in failed.stderr
    assert "Traceback" not in failed.stderr
    continued = subprocess.run(fit, capture_output=True, text=True)
    assert continued.returncode == 0, continued.stderr


def test_a_terminal_gets_a_table_and_a_bar(fitted: tuple[Path, list[CommandResult]], colours: Path) -> None:
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "diptych", "predict", str(fitted[0] / "recognizer"), str(colours / "red")]
    with subprocess.Popen(
        command, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    ) as process:
        os.close(terminal)
        output = b""
        while True:
            try:
                data = os.read(reader, 65536)
            except OSError:  # on Linux, the other end is closed
                break
            if not data:
                break
            output += data
    os.close(reader)
    text = output.decode()
    assert process.returncode == 0, text
    assert "Predicting" in text
    assert "24 of 24 pictures" in text
    rows = [line for line in text.splitlines() if "000.png" in line]
    assert len(rows) == 1
    assert "\t" not in rows[0]
    assert re.search(r"(red|green) +\d+ %", rows[0])
    assert "\x1b[3" not in text  # NO_COLOR is set in the tests


@pytest.mark.parametrize(
    ("closed", "code"), [(">&-", 0), ("--json >&-", 0), ("--json 2>&-", 0), ("--json >/dev/full", 1), ("| head -0", 0)]
)
def test_a_closed_stream_is_no_bug(closed: str, code: int) -> None:
    command = ["bash", "-c", f"{sys.executable} -m diptych cache {closed}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "bug" not in ended.stderr
    assert len(ended.stdout.splitlines()) == ("2>&-" in closed), ended.stdout
