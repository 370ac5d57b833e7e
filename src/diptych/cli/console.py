"""What goes to stdout and what to stderr, and how."""

import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diptych.data.images import Images

log = logging.getLogger("diptych")
LISTED = 20  # bad files named one by one; the reports name all
_warned: list[str] = []  # what this command has warned of so far


class _Notes(logging.Handler):
    """Notes on stderr as it is at that moment: a progress bar puts itself in its place and keeps below them."""

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if record.levelno >= logging.WARNING:
            _warned.append(words)
            words = f"{paint('Warning:', '33')} {words}"
        print(words, file=sys.stderr)


def prepare(debug: bool) -> None:
    """Set up the streams and the notes; once, before any verb."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown escaped rather than refused.
            stream.reconfigure(errors="backslashreplace")
    _warned.clear()
    log.handlers = [_Notes()]
    log.propagate = False
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    if not debug:
        warnings.simplefilter("ignore")


def warnings_only() -> None:
    """Keep notes to warnings."""
    log.setLevel(logging.WARNING)


def print_text(text: str = "") -> None:
    """Print a result for a person."""
    print(text.rstrip("\n"))


def print_json(thing: Any) -> None:
    """Print a result for a program: one JSON object on one line, at once."""
    print(json.dumps(thing, ensure_ascii=False, allow_nan=False), flush=True)


def print_error(sentence: str) -> None:
    """Say on stderr why the command failed."""
    print(f"{paint('Error:', '31')} {' '.join(sentence.split())}", file=sys.stderr)


def list_skipped(images: "Images", unreadable: Iterable[str]) -> int:
    """Name what could not be used, each file with its reason, unless a warning has named it already.

    Returns how many pictures are unreadable; what was seen to be no picture when ``images`` were opened (a text
    file, a link back) does not count.
    """
    strays = [str(error) for error in images.skipped]
    reasons = list(dict.fromkeys([*strays, *unreadable]))
    unnamed = [reason for reason in reasons if not any(reason in words for words in _warned)]
    for reason in unnamed[:LISTED]:
        log.warning("left out: %s", reason)
    if len(unnamed) > LISTED:
        log.warning("left out: %d more", len(unnamed) - LISTED)
    return len(set(reasons) - set(strays))


def paint(text: str, code: str) -> str:
    """Colour text for stderr, where that is a terminal and ``NO_COLOR`` is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"
