"""What every test shares: a cache folder of its own, and one thread a process (two processes run side by side)."""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported, here and in the processes that tests start
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="diptych-tests-")
os.environ["DIPTYCH_KEYS"] = tempfile.mkdtemp(prefix="diptych-keys-")  # never a person's own
os.environ["NO_COLOR"] = "1"
# A shell that starts the tests in the background lets Ctrl-C be ignored, also by the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _short_machine_trials() -> Iterator[None]:
    """Before a run the fastest machine is chosen in a second of steps: longer than most runs of these tests."""
    from diptych.engine import machine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "MAX_TRIAL_SECONDS", 0.02)
        patch.setattr(machine, "MIN_TRIAL_STEPS", 1)
        yield


@pytest.fixture(autouse=True)
def _log_and_bars_as_at_first() -> None:
    """A command in the process of the tests sets up the log and may hide the bars, also one that a fixture of a module
    runs, before this one; not for the next test. Nor are bars of other tests counted into the seconds between lines."""
    from diptych import progress
    from diptych.progress import displays

    log = logging.getLogger("diptych")
    progress.hide_bars(False)
    displays.Lines.last_line = displays.Lines.last_end = time.monotonic()
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)
