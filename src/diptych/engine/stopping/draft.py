"""The draft: the model that a stopped run leaves in its folder, to be used until the same command has ended the run.

It is a model like any other, with the fact "unfinished" in its ``model.json``, beside the run's checkpoints. Only runs
of one process leave one, and none that trains a finished model further: there that model stays.
"""

import logging
import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup
from diptych.errors import Interrupted

log = logging.getLogger("diptych")
Stop = KeyboardInterrupt | Interrupted
NOTE = "The run has not finished: this is what it had when it was stopped. The same command continues it."


def begin(stop: Stop, folder: Path | None, *, extension: bool) -> Interrupted:
    """Say that a draft follows, unless the stopped run leaves none: then ``stop`` is raised again."""
    if folder is None or extension or ProcessGroup(machine.device()).world_size > 1:
        raise stop
    log.info("Stopping: what the run has so far is saved as a model (Ctrl-C again stops without it).")
    return stop if isinstance(stop, Interrupted) else Interrupted("Stopped.", signal.SIGINT)


def is_best(folder: Path, score: float) -> bool:
    """Whether no draft of an earlier stop of the same run, in ``folder``, has a higher score."""
    if not artefact.exists(folder):
        return True
    return score >= float(artefact.facts(folder).get(artefact.UNFINISHED, {}).get("score", 0.0))


def interrupted(stop: Stop, folder: Path) -> Interrupted:
    """The error of a fit into ``folder`` that was stopped at any stage: with what can be used, and how to go on."""
    message, number = ("Stopped.", int(signal.SIGINT))
    if isinstance(stop, Interrupted):
        message, number = stop.message, stop.signal_number
    return Interrupted(message, number, _how_to_go_on(folder))


@contextmanager
def explained_stops(folder: Path) -> Iterator[None]:
    """Within the block, which fits a model into ``folder``, a stop becomes an error that says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as stop:
        raise interrupted(stop, folder) from None


def _how_to_go_on(folder: Path) -> str:
    if artefact.is_finished(folder):
        return f"The same command continues it; the model in {folder} can be used all the while."
    if not artefact.exists(folder):
        begun = checkpoint.stored_settings(folder) is not None
        return f"The same command continues it from {folder}." if begun else "The same command starts it again."
    return f"{_usable(folder, artefact.facts(folder))} The same command continues the run."


def _usable(folder: Path, facts: Mapping[str, Any]) -> str:
    """That the draft can be used, with its figures, and the command that uses it."""
    score, name = facts[artefact.UNFINISHED], shlex.quote(str(folder))
    if facts["kind"] != "recognizer":
        return f"What it has so far can be used: diptych sample {name} -n 64."
    figures = f"{score['measure']} {score['score']:.1%} on {score['pictures']} held-out pictures"
    return f"What it has so far can be used ({figures}): diptych predict {name} PICTURES."
