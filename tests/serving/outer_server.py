"""A server of the outer half alone, as a process: limits, deadlines, data sets, jobs, model files.

``python outer_server.py FOLDER '{"given": [], "max_bytes": 1000000, ...}'`` prints its port.
"""

import asyncio
import json
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from diptych.errors import UsageError
from diptych.serving.deadlines import connection_protocol
from diptych.serving.jobs.queue import Jobs
from diptych.serving.limits import BodyLimit, ClientLimit, ContentTypeCheck, HostCheck, TokenCheck
from diptych.serving.refusals import RefusedError
from diptych.serving.routes import datasets as dataset_routes
from diptych.serving.routes import jobs as job_routes
from diptych.serving.routes import model_files as model_routes
from diptych.serving.storage.datasets import DataSets
from diptych.serving.storage.model_files import ModelFiles
from diptych.serving.storage.picture_reader import PictureReader

DEFAULTS = {
    "given": [],
    "max_bytes": 50_000_000,
    "quota_bytes": 1_000_000_000,
    "body_seconds": 30.0,
    "header_seconds": 10.0,
    "client_connections": 64,
    "client_requests": 64,
    "token": None,
    "hosts": [],
}


def build(home: Path, options: dict, draining) -> FastAPI:
    datasets = DataSets(home, [Path(folder) for folder in options["given"]], quota_bytes=options["quota_bytes"])
    reader, jobs = PictureReader(), Jobs(home, datasets)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        jobs.start()
        yield
        await asyncio.to_thread(jobs.close)
        await reader.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(RefusedError, answer_refusal)
    app.add_exception_handler(UsageError, answer_usage_error)
    app.add_exception_handler(RequestValidationError, answer_usage_error)
    app.include_router(dataset_routes.router(datasets, reader))
    app.include_router(job_routes.router(jobs, draining))
    app.include_router(model_routes.router(ModelFiles(home, jobs.uses_model)))
    app.post("/count")(count)
    app.get("/health/live")(lambda: {"live": True})
    app.add_middleware(BodyLimit, max_bytes=options["max_bytes"], seconds=options["body_seconds"])
    app.add_middleware(ContentTypeCheck)
    app.add_middleware(ClientLimit, requests=options["client_requests"])
    if options["token"]:
        app.add_middleware(TokenCheck, token=options["token"], open_paths=("/health/live",))
    app.add_middleware(HostCheck, hosts=options["hosts"])
    return app


def answer_refusal(request: Request, error: RefusedError) -> JSONResponse:
    return error.response()


def answer_usage_error(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": {"code": "bad_request", "message": ascii(error)}}, 422)


async def count(request: Request) -> int:
    """The number of bytes in the body, none of them kept."""
    return sum([len(part) async for part in request.stream()])


def main() -> None:
    home, options = Path(sys.argv[1]), {**DEFAULTS, **json.loads(sys.argv[2])}
    http = connection_protocol(options["header_seconds"], options["client_connections"])
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    app = build(home, options, lambda: server.should_exit)
    server = uvicorn.Server(uvicorn.Config(app, http=http, log_level="warning", timeout_keep_alive=5))
    print(listener.getsockname()[1], flush=True)
    server.run([listener])


if __name__ == "__main__":
    main()
