"""``/jobs``: start, list, follow, cancel and resume long work."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from diptych.serving.jobs.queue import Jobs
from diptych.serving.jobs.record import OUTPUTS, UNFINISHED, Job
from diptych.serving.refusals import RefusedError
from diptych.serving.routes.examples import body_example, example
from diptych.serving.routes.models import DOCUMENT_HEADERS

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_SIGNS_OF_LIFE = 15.0  # so that proxies do not take a quiet stream for a dead one

Number = Annotated[int, Field(ge=-(2**53), le=2**53)]  # those that every reader of JSON has
LastEvent = Annotated[int, Header(alias="Last-Event-ID", ge=0, le=2**62)]


NEW = {"verb": "fit", "options": {"kind": "recognizer", "data": "pets", "output": "pets-1", "minutes": 5}}
TIMES = {"created": 1796040301.4, "started": None, "ended": None, "exit_code": None, "message": ""}
WAITING = {"id": "20261129-120501-412650-3f9a", **NEW, "state": "waiting", **TIMES}
RUNNING = {**WAITING, "state": "running", "started": 1796040301.6}
ENDED = {**RUNNING, "state": "done", "ended": 1796040606.2, "exit_code": 0}
DONE = {**ENDED, "result": {"folder": "pets-1"}, "files": ["log.txt"]}


class NewJob(BaseModel):
    """A verb of the command line with its options; data sets and models are named, never paths."""

    verb: str = Field(examples=["fit"])
    options: dict[str, bool | Number | float | str | list[str] | None] = Field(
        default_factory=dict, examples=[{"kind": "recognizer", "data": "pets", "output": "pets-1", "minutes": 5}]
    )


def router(jobs: Jobs, draining: Callable[[], bool]) -> APIRouter:
    """The routes of these jobs; once ``draining`` says so, streams of events end, for the server to end."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", responses=example({"jobs": [RUNNING]}))
    def list_jobs() -> dict[str, list[dict[str, Any]]]:
        """All jobs, the newest first."""
        return {"jobs": [_summary(job) for job in jobs.all()]}

    @routes.post("", status_code=202, responses=example(WAITING, 202), openapi_extra=body_example(NEW))
    def start_job(new: NewJob) -> dict[str, Any]:
        """Start one of the verbs in docs/serving.md, such as fit or map; it waits until those before it have ended."""
        return _summary(jobs.submit(new.verb, new.options))

    @routes.get("/{job_id}", responses=example(DONE))
    def job(job_id: str) -> dict[str, Any]:
        """One job, with what it printed once it is done, and the names of its files."""
        folder = jobs.folder(job_id)
        return {**_summary(jobs.get(job_id)), "result": folder.result(), "files": folder.outputs()}

    @routes.post("/{job_id}/cancel", status_code=202, responses=example(RUNNING, 202))
    def cancel_job(job_id: str) -> dict[str, Any]:
        """Stop a job; a fit is saved, and can be resumed."""
        return _summary(jobs.cancel(job_id))

    @routes.post("/{job_id}/resume", status_code=202, responses=example(WAITING, 202))
    def resume_job(job_id: str) -> dict[str, Any]:
        """Run a job again that was cancelled, stopped or failed; a fit continues where it was saved."""
        return _summary(jobs.resume(job_id))

    @routes.get("/{job_id}/files/{file}", response_class=FileResponse)
    def job_file(job_id: str, file: str) -> FileResponse:
        """A file that a job wrote: its report, manifest, exported model, map or log."""
        folder = jobs.folder(job_id)
        if file not in OUTPUTS or file not in folder.outputs():
            raise RefusedError(404, "not_found", f"The job has no file {file[:60]!a}.")
        return FileResponse(folder.path / file, headers=DOCUMENT_HEADERS)

    @routes.get("/{job_id}/events", response_class=StreamingResponse, responses={200: _EVENT_STREAM})
    def job_events(job_id: str, last_event_id: LastEvent = 0) -> Response:
        """What happens to a job as server-sent events, from the first one or the one after Last-Event-ID on.

        ``state`` (state, message), ``log`` (a line), ``tick`` (losses and scores of a fit). The stream ends with the
        job; asked again then, the answer is 204, upon which a browser does not ask any more.
        """
        ended = jobs.get(job_id).state not in UNFINISHED
        if ended and next(jobs.folder(job_id).events(last_event_id), None) is None:
            return Response(status_code=204)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = _stream(jobs, job_id, last_event_id, draining)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    return routes


_EVENT_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


def _summary(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    return {name: value for name, value in asdict(job).items() if name != "process"}


async def _stream(jobs: Jobs, job_id: str, last: int, draining: Callable[[], bool]) -> AsyncIterator[str]:
    """Events as they come, and a comment now and then."""
    loop = asyncio.get_running_loop()
    sent, folder = loop.time(), jobs.folder(job_id)
    while not draining():
        ended = jobs.get(job_id).state not in UNFINISHED  # asked first: the last events come before it
        for event_id, kind, data in folder.events(last):
            yield f"id: {event_id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
            sent, last = loop.time(), event_id
        if ended:
            return
        if loop.time() - sent >= SECONDS_BETWEEN_SIGNS_OF_LIFE:
            yield ": the job goes on\n\n"
            sent = loop.time()
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
