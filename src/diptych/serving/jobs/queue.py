"""Jobs: long commands as processes of their own, some at a time, known again after a restart of the server."""

import logging
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from diptych.serving.jobs.commands import Options, command, models_of
from diptych.serving.jobs.option_words import Places
from diptych.serving.jobs.record import RESUMABLE, UNFINISHED, Job, JobFolder
from diptych.serving.jobs.run import GRACE_SECONDS, JobRun, end_orphan
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.datasets import DataSets

log = logging.getLogger("diptych")
FOLDER = ".jobs"
MAX_WAITING = 50
MAX_KEPT = 500  # finished jobs; the oldest goes first
_DONE_CODES = (0, 4)  # 4: some files were left out


class Jobs:
    """The jobs of a server.

    Parameters
    ----------
    home
        The server's folder: its models, and ``.jobs/`` for the jobs.
    datasets
        Those that jobs may read.
    at_once
        How many run at a time.
    """

    def __init__(self, home: Path, datasets: DataSets, *, at_once: int = 1) -> None:
        self._home = home.resolve()
        self._root = self._home / FOLDER
        self._places = Places(self._home, datasets)
        self._changed = threading.Condition()
        self._closing = False
        self._runs: dict[str, JobRun] = {}
        self._cancelled: set[str] = set()
        self._root.mkdir(parents=True, exist_ok=True)
        self._jobs = self._read_all()
        self._threads = [threading.Thread(target=self._work, name=f"job-{n}", daemon=True) for n in range(at_once)]

    def start(self) -> None:
        """Begin to run what waits; what an earlier server left running is ended first, and can be resumed."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop what runs, which saves itself, and wait for it; it can be resumed."""
        with self._changed:
            self._closing = True
            for run in self._runs.values():
                run.stop()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2 * GRACE_SECONDS)

    def all(self) -> list[Job]:
        """The newest first."""
        with self._changed:
            return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)

    def get(self, job_id: str) -> Job:
        """The job of this identifier.

        Raises
        ------
        RefusedError
            404: there is none.
        """
        with self._changed:
            if job_id not in self._jobs:
                raise RefusedError(404, "not_found", f"There is no job {job_id[:60]!a}.")
            return self._jobs[job_id]

    def newest_map(self, **options: Any) -> JobFolder:
        """The files of the newest map whose job has these options.

        Raises
        ------
        RefusedError
            404: there is none.
        """
        for job in self.all():
            if (job.verb, job.state) == ("map", "done") and all(job.options.get(k) == v for k, v in options.items()):
                return self.folder(job.id)
        raise RefusedError(404, "not_found", 'There is no such map yet. Ask for it: POST /jobs, "verb": "map".')

    def folder(self, job_id: str) -> JobFolder:
        """The files of a job; see :meth:`get`."""
        return JobFolder(self._root / self.get(job_id).id)

    def submit(self, verb: str, options: Options) -> Job:
        """Add a job.

        Raises
        ------
        UsageError, RefusedError
            It is not possible (see :mod:`diptych.serving.jobs.commands`); 503: too many are waiting.
        """
        job = Job.new(verb, dict(options))
        command(verb, options, self._places, Path(FOLDER, job.id))
        with self._changed:
            self._refuse_too_many()
            self._discard_oldest()
            self._jobs[job.id] = job
            self._set(job, "waiting")
        return job

    def cancel(self, job_id: str) -> Job:
        """Stop a job, which saves itself; it can be resumed.

        Raises
        ------
        RefusedError
            404: there is none; 409: it has ended.
        """
        job = self.get(job_id)
        with self._changed:
            if job.state not in UNFINISHED:
                raise RefusedError(409, "not_running", f"The job has ended: it is {job.state}.")
            if job.state == "waiting":
                self._set(job, "cancelled", ended=time.time())
            else:
                self._cancelled.add(job.id)
                if job.id in self._runs:
                    self._runs[job.id].stop()
        return job

    def resume(self, job_id: str) -> Job:
        """Run the same command again, which continues a fit where it was saved and starts anything else over.

        Raises
        ------
        RefusedError
            404: there is none; 409: it is not one that failed, was cancelled or stopped; 503: too many are waiting.
        """
        job = self.get(job_id)
        with self._changed:
            if job.state not in RESUMABLE:
                raise RefusedError(409, "not_resumable", f"The job is {job.state}; there is nothing to resume.")
            self._refuse_too_many()
            self._cancelled.discard(job.id)
            self._set(job, "waiting", ended=None, exit_code=None, message="")
        return job

    def uses_model(self, name: str) -> bool:
        """Whether a job that waits or runs reads or writes the model of this name."""
        return any(job.state in UNFINISHED and name in models_of(job.verb, job.options) for job in self.all())

    def _work(self) -> None:
        """Run jobs one after the other until the server ends."""
        self._end_orphans()
        while (job := self._next()) is not None:
            self._finish(job, self._runs[job.id].follow())

    def _next(self) -> Job | None:
        """Start the job that has waited longest, once there is one; ``None``: the server ends."""
        with self._changed:
            while not self._closing:
                waiting = [job for job in self._jobs.values() if job.state == "waiting"]
                if waiting and self._begin(min(waiting, key=lambda job: job.id)):
                    return min(waiting, key=lambda job: job.id)
                if not waiting:
                    self._changed.wait()
            return None

    def _begin(self, job: Job) -> bool:
        """Start the command; a job whose data or model has gone in the meantime has failed."""
        folder = JobFolder(self._root / job.id)
        try:
            words = command(job.verb, job.options, self._places, Path(FOLDER, job.id))
            (folder.path / "manifest.csv").unlink(missing_ok=True)  # of an earlier run: inspect replaces none
            model = self._home / self._places.output(job.options["output"]) if job.verb == "fit" else None
            run = JobRun(words, self._home, folder, model)
        except (OSError, ValueError, RefusedError) as error:
            self._set(job, "failed", ended=time.time(), message=str(error))
            return False
        self._runs[job.id] = run
        self._set(job, "running", started=time.time(), process=run.process_id)
        return True

    def _finish(self, job: Job, code: int) -> None:
        with self._changed:
            del self._runs[job.id]
            cancelled = job.id in self._cancelled
            self._cancelled.discard(job.id)
            if code in _DONE_CODES:
                state, message = "done", ""
            elif cancelled:
                state, message = "cancelled", ""
            elif self._closing:
                state, message = "stopped", "The server ended. Resume the job to continue."
            else:
                state, message = "failed", JobFolder(self._root / job.id).last_error() or f"It ended with code {code}."
            self._set(job, state, ended=time.time(), exit_code=code, message=message, process=None)

    def _set(self, job: Job, state: str, **changes: Any) -> None:
        """Change a job, in memory and on disk; its event comes first, so that whoever follows it misses none."""
        folder = JobFolder(self._root / job.id)
        folder.add_event("state", {"state": state, "message": changes.get("message", job.message)})
        vars(job).update(changes, state=state)
        folder.write(job)
        self._changed.notify_all()

    def _refuse_too_many(self) -> None:
        if sum(job.state == "waiting" for job in self._jobs.values()) >= MAX_WAITING:
            raise RefusedError(503, "full", f"{MAX_WAITING} jobs are waiting. Try again later.", {"Retry-After": "60"})

    def _discard_oldest(self) -> None:
        finished = sorted(job.id for job in self._jobs.values() if job.state not in UNFINISHED)
        for job_id in finished[: max(0, len(finished) - MAX_KEPT + 1)]:
            del self._jobs[job_id]
            shutil.rmtree(self._root / job_id, ignore_errors=True)

    def _read_all(self) -> dict[str, Job]:
        jobs: dict[str, Job] = {}
        for path in sorted(self._root.iterdir()):
            try:
                job = JobFolder(path).read()
            except (OSError, ValueError, TypeError) as error:
                log.warning("The job in %s cannot be read: %s", path, error)
                continue
            if job.id == path.name:
                jobs[job.id] = job
        return jobs

    def _end_orphans(self) -> None:
        """Mark the jobs that an earlier server left running as stopped, once their processes have ended."""
        with self._changed:
            orphans = [job for job in self._jobs.values() if job.state == "running" and job.id not in self._runs]
        for job in orphans:
            end_orphan(self._root / job.id, job.process)
            with self._changed:
                if job.state == "running":
                    message = "The server ended while the job ran. Resume it to continue."
                    self._set(job, "stopped", ended=time.time(), message=message, process=None)
