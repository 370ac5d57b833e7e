"""Hands jobs to Ray, keeps their results, and gives them back in order."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from diptych.cluster.results import ResultFolder, unpacked
from diptych.cluster.worker import run_job
from diptych.data.messages import counted
from diptych.engine.row_jobs import Accept, Job, Result, accept_all
from diptych.errors import DataError, DiptychError, UsageError
from diptych.progress import Bar

RETRIES = 5  # of a job whose worker or machine dies, before the run stops; the next run has as many again
JOBS_AHEAD = 2  # handed out for each processor, so that none waits for this process
STRAGGLER = 4.0  # times the median job, after which a copy of a job is started where processors idle
POLL_SECONDS = 1.0  # after which stragglers are looked for, where no job ends


@dataclass(frozen=True)
class _Running:
    rows: range
    started: float


class RayJobs:
    """A :class:`diptych.engine.row_jobs.JobRunner`.

    Parameters
    ----------
    ray
        The module, connected to a cluster.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        resources = ray.cluster_resources()
        self._gpus = int(resources.get("GPU", 0))
        self._slots = self._gpus or max(1, int(resources.get("CPU", 1)))
        self._finished: list[ResultFolder] = []

    def results(
        self,
        job: Job,
        shared: Any,
        ranges: list[range],
        identity: dict[str, Any],
        title: str,
        accept: Accept = accept_all,
    ) -> Iterator[Result]:
        """See :class:`diptych.engine.row_jobs.JobRunner`.

        Raises
        ------
        DataError
            A job lost its worker too often; what was done before is kept.
        UsageError
            Something shared cannot be sent to other processes.
        """
        folder = ResultFolder({"job": f"{job.__module__}.{job.__qualname__}", **identity})
        missing = [rows for rows in ranges if not folder.has(rows)]
        with Bar(title, sum(map(len, ranges))) as bar:
            bar.skip(sum(map(len, ranges)) - sum(map(len, missing)))
            queue = _Queue(self._ray, self._task(), job, shared, folder, self._slots, bar)
            queue.waiting.extend(missing)
            try:
                for rows in ranges:
                    while (result := folder.read(rows)) is None:
                        queue.advance(rows)
                    queue.fill()
                    try:
                        accept(rows, result)
                    except DiptychError:
                        folder.forget(rows)
                        raise
                    yield result
            finally:
                queue.cancel()
        self._finished.append(folder)

    def remove_results(self) -> None:
        """Delete the results of all work that has ended; what they were for is written."""
        for folder in self._finished:
            folder.remove()

    def _task(self) -> Any:
        resources = {"num_cpus": 0, "num_gpus": 1} if self._gpus else {"num_cpus": 1}
        return self._ray.remote(max_retries=RETRIES, **resources)(run_job)


class _Queue:
    """Jobs that wait and those that run."""

    def __init__(self, ray: Any, task: Any, job: Job, shared: Any, folder: ResultFolder, slots: int, bar: Bar) -> None:
        self.waiting: deque[range] = deque()
        self._ray, self._task, self._job, self._shared = ray, task, job, shared
        self._folder, self._slots, self._bar = folder, slots, bar
        self._reference: Any = None
        self._running: dict[Any, _Running] = {}
        self._seconds: list[float] = []

    def advance(self, needed: range) -> None:
        """Wait until a job has ended; ``needed``, if it is neither waiting nor running, is put first."""
        if needed not in self.waiting and all(one.rows != needed for one in self._running.values()):
            self.waiting.appendleft(needed)
        self.fill()
        for reference in self._ray.wait(list(self._running), timeout=POLL_SECONDS)[0]:
            self._take(reference)

    def fill(self) -> None:
        """Hand out as many jobs as there are places for; copies of stragglers where nothing else is left."""
        while self.waiting and len(self._running) < JOBS_AHEAD * self._slots:
            self._start(self.waiting.popleft())
        if self._seconds and len(self._running) < self._slots:
            late = time.monotonic() - STRAGGLER * median(self._seconds)
            rows = [one.rows for one in self._running.values()]
            for one in [one for one in self._running.values() if one.started < late and rows.count(one.rows) == 1]:
                self._start(one.rows)

    def cancel(self) -> None:
        """Stop what runs."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)

    def _start(self, rows: range) -> None:
        if self._reference is None:
            self._reference = self._put()
        reference = self._task.remote(str(Path.cwd()), self._job, [self._reference], rows)
        self._running[reference] = _Running(rows, time.monotonic())

    def _put(self) -> Any:
        try:
            return self._ray.put(self._shared)
        except self._ray.exceptions.RayError:
            raise
        except Exception as error:  # of many kinds: whatever an object raises that does not travel
            raise UsageError(
                f"These pictures cannot be sent to a cluster ({type(error).__name__}). Unpack the archive that they "
                "are in, or pack them: diptych pack PICTURES -o SHARDS"
            ) from None

    def _take(self, reference: Any) -> None:
        """Keep the result of a job that has ended."""
        one = self._running.pop(reference)
        if self._folder.has(one.rows):  # a copy of it was faster
            return
        content = self._content(reference, one.rows)
        self._seconds.append(time.monotonic() - one.started)
        self._folder.write(one.rows, content)
        self._bar.advance(len(one.rows))

    def _content(self, reference: Any, rows: range) -> bytes:
        where = f"Rows {rows.start:,} to {rows.stop:,}"
        try:
            content: bytes = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, DiptychError | OSError):
                raise error.cause from None
            raise DataError(f"{where} failed on the cluster: {error.cause!r}.") from None
        except self._ray.exceptions.RayError as error:
            raise DataError(
                f"{where} lost their worker {counted(RETRIES + 1, 'time')} ({type(error).__name__}). What is done is "
                "kept: the same command again continues."
            ) from None
        if unpacked(content) is None:
            raise DataError(f"The result of {where.lower()} came damaged. Give the same command again.")
        return content
