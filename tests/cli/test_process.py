"""What only a real process shows: signals, and a terminal."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.conftest import Done


def test_a_signal_saves_and_the_same_command_goes_on(colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    fit = [sys.executable, "-m", "diptych", "fit", "recognizer", str(colours), "-o", str(out), "--epochs", "4000"]
    notes = ""
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [*fit, "--network", "convnet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            before = set((out / "checkpoint").glob("0*"))
            while not set((out / "checkpoint").glob("0*")) - before:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
            process.send_signal(number)
            told, notes = process.communicate(timeout=60)
        assert process.returncode == 128 + number, notes
        assert told == ""
        assert "The same command continues it" in notes
        assert "Traceback" not in notes
    assert "Continuing after" in notes


def test_a_terminal_gets_a_table_and_a_bar(fitted: tuple[Path, list[Done]], colours: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "diptych", "predict", str(fitted[0] / "recognizer"), str(colours / "red")]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # how Linux says that nobody holds the other end
                break
            if not data:
                break
            shown += data
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 0, text
    assert "Predicting" in text
    assert "24 of 24 pictures" in text
    rows = [line for line in text.splitlines() if "000.png" in line]
    assert len(rows) == 1
    assert "\t" not in rows[0]
    assert "\x1b[3" not in text  # NO_COLOR is set in the tests
