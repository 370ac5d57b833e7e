"""Trainings that are not finished: models that are on their way, or that were left half-way."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.engine import history
from diptych.errors import ArtefactError, DataError
from diptych.serving.jobs.queue import Jobs
from diptych.serving.jobs.record import UNFINISHED, Job

TRACES = ("checkpoint", history.FILE)  # of a run; a finished model keeps its history, too


def unfinished_runs(home: Path, jobs: Jobs) -> list[dict[str, Any]]:
    """What is known of each, by name: name, state, the job and its message, and the pictures seen so far.

    The state is that of its newest job; "unfinished" where it was begun by a command line.
    """
    newest: dict[str, Job] = {}
    for job in jobs.all():
        if job.verb == "fit":
            newest.setdefault(job.options["output"], job)
    begun = {path.name for path in home.iterdir() if not path.name.startswith(".") and _has_traces(path)}
    expected = {name for name, job in newest.items() if job.state in UNFINISHED}
    names = sorted(name for name in begun | expected if not _is_over(home / name))
    return [_facts(home / name, newest.get(name)) for name in names]


def _is_over(folder: Path) -> bool:
    try:
        return artefact.is_finished(folder)
    except ArtefactError:  # which the list of models says
        return True


def _has_traces(folder: Path) -> bool:
    return any((folder / name).exists() for name in TRACES)


def _facts(folder: Path, job: Job | None) -> dict[str, Any]:
    return {
        "name": folder.name,
        "state": "unfinished" if job is None else job.state,
        "job": None if job is None else job.id,
        "message": "" if job is None else job.message,
        "seen_pictures": _seen_pictures(folder / history.FILE),
    }


def _seen_pictures(path: Path) -> int:
    with suppress(OSError, DataError, LookupError):
        return int(history.read(path)[-1]["seen_pictures"])
    return 0
