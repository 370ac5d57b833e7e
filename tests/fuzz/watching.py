"""What counts as a finding, and what is written down of each: an input for each place in which a reader fails."""

import logging
import re
import resource
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from targets import Target, write

from diptych import progress
from diptych.errors import DiptychError

MAX_SECONDS = 2.0  # of the processor, for one input
MAX_BYTES = 1_000_000_000  # of memory of the process
EXIT_CODES = (2, 3)  # of errors that name what is wrong with the input
MINIMISING_SECONDS = 10.0


class _Formatting(logging.Handler):
    """Formats every message, as the command line does, and prints none."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()


def be_quiet() -> None:
    """Warnings, messages and bars as in the command line, but for their being printed."""
    warnings.simplefilter("ignore")
    log = logging.getLogger("diptych")
    log.handlers, log.propagate = [_Formatting()], False
    log.setLevel(logging.INFO)
    progress.hide_bars(True)


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    finding
        Its name; "": it was read, or refused as it should be.
    text
        The traceback, or the refusal.
    seconds
        Of the processor.
    """

    finding: str
    text: str
    seconds: float


def try_input(target: Target, folder: Path, data: bytes) -> Outcome:
    """Read the folder with these bytes in it."""
    finding, text = "", ""
    write(target, folder, data)
    start, earlier_peak = time.process_time(), peak_bytes()
    try:
        target.read(folder)
    except DiptychError as error:
        if error.exit_code not in EXIT_CODES:
            finding = _name(error)
        text = traceback.format_exc() if finding else str(error)
    except Exception as error:
        finding, text = _name(error), traceback.format_exc()
    seconds = time.process_time() - start
    if seconds > MAX_SECONDS and not finding:
        finding, text = "Slow", f"{seconds:.1f} s"
    if (peak := peak_bytes()) > max(MAX_BYTES, earlier_peak) and not finding:
        finding, text = "Memory", f"{peak / 1e6:.0f} MB"
    return Outcome(finding, text, seconds)


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _name(error: BaseException) -> str:
    """The kind of the error and the innermost of our functions: one finding for each place."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/diptych/" in frame.filename]
    place = f"{Path(ours[-1].filename).stem}-{ours[-1].name}" if ours else "outside"
    return re.sub(r"[^\w-]", "", f"{type(error).__name__}-{place}")


def minimised(data: bytes, is_same: Callable[[bytes], bool]) -> bytes:
    """A part of the bytes that still is the same finding (delta debugging, Zeller and Hildebrandt 2002)."""
    end, step = time.monotonic() + MINIMISING_SECONDS, max(len(data) // 2, 1)
    while step and time.monotonic() < end:
        start = 0
        while start < len(data) and time.monotonic() < end:
            shorter = data[:start] + data[start + step :]
            if is_same(shorter):
                data = shorter
            else:
                start += step
        step //= 2
    return data
