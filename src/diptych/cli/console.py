"""What goes to stdout and what to stderr, and how."""

import io
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from diptych import escaping

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.report import Report

log = logging.getLogger("diptych")
MAX_LISTED = 20  # unreadable files named one by one; the reports name all
_warnings: list[str] = []  # the warnings that this command has printed so far
_next_steps: list[str] = []  # what this command proposes to do next


class _StderrHandler(logging.Handler):
    """Log records on ``sys.stderr`` as it is at that moment: a live progress bar replaces it and stays below them."""

    def emit(self, record: logging.LogRecord) -> None:
        message = escaping.for_terminal(record.getMessage())
        if record.levelno >= logging.WARNING:
            _warnings.append(message)
            message = f"{colour_text('Warning:', '33')} {message}"
        print(message, file=sys.stderr)


def prepare(debug: bool) -> None:
    """Set up the streams and the log; called once, before any verb."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown escaped rather than refused.
            stream.reconfigure(errors="backslashreplace")
    _warnings.clear()
    _next_steps.clear()
    log.handlers = [_StderrHandler()]
    log.propagate = False
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    if os.environ.get("RANK", "0") != "0":  # of the processes of torchrun only the first one speaks
        log.setLevel(logging.ERROR)
    if not debug:
        warnings.simplefilter("ignore")


def _open_closed_streams() -> None:
    """Put an empty place where a stream was closed (``>&-``): Python has none there, and prints on the other one."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.dup2(os.open(os.devnull, os.O_WRONLY), number), "w"))


def hide_info_messages() -> None:
    """Show no log records below warnings."""
    log.setLevel(logging.WARNING)


def print_text(*lines: str) -> None:
    """Print a result as lines of text; a line break in one of them is shown as a sign, as it comes from a name."""
    print("\n".join(map(escaping.for_terminal, lines)))


def print_row(*cells: str) -> None:
    """Print the cells of a result, separated by tabs."""
    print("\t".join(map(escaping.for_terminal, cells)))


def print_report(report: "Report", page: object) -> None:
    """Print what most people need of a report, and propose its next step; ``page`` is the page that has all of it."""
    from diptych.report.text import render_brief

    print_text(*render_brief(report).rstrip("\n").split("\n"))
    if page is None:
        log.info("All figures, with pictures: add -o FILE.html")
    if report.verdict is not None:
        suggest_step(report.verdict.next_step)


def print_json(value: Any) -> None:
    """Print a result as one JSON object on one line, unbuffered."""
    print(json_line(value, sys.stdout), flush=True)


def json_line(value: Any, stream: TextIO) -> str:
    r"""A value as JSON on one line, which stays JSON in the stream's encoding: outside UTF-8, é is written \u00e9."""
    in_utf8 = (stream.encoding or "utf-8").lower().replace("-", "") == "utf8"
    return escaping.json_line(value, ascii_only=not in_utf8)


def suggest(*words: object) -> None:
    """Propose a ``diptych`` command, word by word, as the last line of this one.

    It goes to stderr, since other programs read stdout. Words in capitals stand for what a person fills in.
    """
    suggest_step(f"diptych {shlex.join(map(str, words))}")


def labels_option(labels: str | None) -> list[str]:
    """The words by which a proposed command reads the labels of pictures as this one did."""
    return [] if labels is None else ["--labels", labels]


def suggest_step(sentence: str) -> None:
    """Propose what to do next, in words with a command in them, as the last line of this command."""
    _next_steps[:] = [sentence]


def print_next_step() -> None:
    """Print what was proposed, if anything was."""
    for sentence in _next_steps:
        log.info("Next: %s", sentence)


def print_error(sentence: str) -> None:
    """Print on stderr why the command failed."""
    print(f"{colour_text('Error:', '31')} {escaping.for_terminal(sentence)}", file=sys.stderr)


def list_skipped(images: "Images", unreadable: Iterable[str]) -> int:
    """Warn of each file that could not be used, with its reason, unless an earlier warning names it.

    Returns the number of unreadable pictures; files that were recognised as no pictures when ``images`` were opened
    (a text file, a link back to a parent folder) do not count.
    """
    not_pictures = [str(error) for error in images.skipped]
    reasons = list(dict.fromkeys([*not_pictures, *unreadable]))
    unnamed = [r for r in reasons if not any(escaping.for_terminal(r) in warning for warning in _warnings)]
    for reason in unnamed[:MAX_LISTED]:
        log.warning("Left out: %s", reason)
    if len(unnamed) > MAX_LISTED:
        log.warning("Left out: %d more", len(unnamed) - MAX_LISTED)
    return len(set(reasons) - set(not_pictures))


def colour_text(text: str, code: str) -> str:
    """Colour text for stderr by an ANSI code, where that is a terminal and ``NO_COLOR`` is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"
