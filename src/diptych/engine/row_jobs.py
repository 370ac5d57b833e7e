"""Work on many rows (pictures, seeds) cut into jobs of bounded size, for whoever computes them elsewhere.

Within ``with run_on(runner):`` the functions whose rows do not depend on each other (embedding, predicting, enrolling,
sampling) hand their jobs to the runner instead of computing them here: see :mod:`diptych.cluster`. A job is a function
of a module, called with something shared and a range of rows; it returns a dictionary of text, numbers, bytes, lists of
these and arrays. Jobs are the same for any number of machines, so that a restart finds those that are done.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from diptych.data.images import Images
from diptych.errors import DataError, PictureError

#: Pictures in a job: a multiple of every batch, so that batches are those of one machine; and too few for another
#: backend to be tried, so that all machines compute in float32.
ROWS_PER_JOB = 256

Result = dict[str, Any]
Job = Callable[[Any, range], Result]
Accept = Callable[[range, Result], None]


class JobRunner(Protocol):
    """Computes jobs elsewhere."""

    def results(
        self, job: Job, shared: Any, ranges: list[range], identity: dict[str, Any], title: str, accept: Accept = ...
    ) -> Iterator[Result]:
        """The result of ``job(shared, rows)`` for each of the ranges, in order.

        Parameters
        ----------
        shared
            What all jobs need: models, pictures.
        identity
            What the results depend on, JSON-able: with the same identity they are taken from an earlier run.
        title
            Of the progress bar.
        accept
            Called with each result before it is given; raises where it is of no use, and then it is not kept.
        """


_runner: ContextVar[JobRunner | None] = ContextVar("diptych_job_runner", default=None)


def runner() -> JobRunner | None:
    """Who computes jobs; ``None``: this process itself."""
    return _runner.get()


@contextmanager
def run_on(runner: JobRunner) -> Iterator[None]:
    """Within the block, jobs are computed by ``runner``."""
    token = _runner.set(runner)
    try:
        yield
    finally:
        _runner.reset(token)


def ranges(rows: int, size: int = ROWS_PER_JOB) -> list[range]:
    """All rows in order, ``size`` at a time."""
    return [range(start, min(start + size, rows)) for start in range(0, rows, size)]


def part_of(images: Images, rows: range) -> Images:
    """The pictures of a job."""
    return images[rows.start : rows.stop]


def identity_of(images: Images) -> dict[str, str]:
    """What the results of jobs on pictures depend on: the contents, labels and names, in their order."""
    paths, digest = images.metadata.paths, hashlib.sha256()
    for rows in ranges(len(paths)):  # not all at a time: they may be millions
        names = map(str, paths[rows.start : rows.stop])
        digest.update("".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape"))
    return {"pictures": images.fingerprint(), "paths": digest.hexdigest()}


def reasons_of(images: Images) -> list[tuple[int, str]]:
    """Which pictures of a job are known to be unreadable, and why: a part of its result."""
    return [(row, error.reason) for row, error in images.known_errors().items()]


def adopting_reasons(images: Images) -> Accept:
    """Takes over :func:`reasons_of` each job on these pictures: as if they had been read here.

    It raises a :class:`DataError` where a picture that a machine of the cluster could not read can be read here: that
    machine lacks the file.
    """

    def adopt(rows: range, result: Result) -> None:
        part = part_of(images, rows)
        for row, reason in result.pop("reasons"):
            try:
                part.picture(row, 8)
            except PictureError:
                continue
            raise DataError(
                f"{part.paths[row]} can be read here, but not on the cluster ({reason}). Put the pictures where every "
                "machine of it finds them under the same path: on a shared disk, or behind a URL."
            )

    return adopt


def accept_all(rows: range, result: Result) -> None:
    """Take every result."""
