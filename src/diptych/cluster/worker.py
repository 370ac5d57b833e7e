"""What runs on the machines of the cluster: one job, with what all jobs share loaded once by each process."""

import os
import platform
from functools import lru_cache
from typing import Any

from diptych.cluster.results import packed
from diptych.engine.row_jobs import Job
from diptych.errors import DataError
from diptych.marks.facts import software
from diptych.progress import without_bars


def run_job(folder: str, job: Job, shared: list[Any], rows: range) -> bytes:
    """The packed result of a job.

    Parameters
    ----------
    folder
        That the command was given in: relative paths mean the same here, on a shared disk.
    shared
        One reference to what the jobs share; in a list, since Ray would resolve it anew for every job otherwise.

    Raises
    ------
    DataError
        The folder is not there.
    """
    try:
        os.chdir(folder)
    except OSError:
        raise DataError(
            f"{folder} is not there on every machine of the cluster. Work in a folder on a disk that they share."
        ) from None
    with without_bars():
        return packed(job(_loaded(shared[0]), rows))


@lru_cache(1)
def _loaded(reference: Any) -> Any:
    import ray

    return ray.get(reference)


def versions() -> tuple[str, str]:
    """Of Python and of Diptych, which must be the same everywhere: what travels is pickled."""
    return "Python " + ".".join(platform.python_version_tuple()[:2]), software()
