"""``create_app``: the web application, of which nothing imports torch."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from diptych import __version__
from diptych.errors import DiptychError
from diptych.serving.errors import RequestError, status_and_code
from diptych.serving.jobs.queue import Jobs
from diptych.serving.limits import BodyLimit, ClientLimit, ContentTypeCheck, HostCheck, TokenCheck
from diptych.serving.metrics import RequestMetrics
from diptych.serving.routes import datasets as dataset_routes
from diptych.serving.routes import (
    galleries,
    gallery_contents,
    generation,
    health,
    maps,
    models,
    page,
    predictions,
    reference,
    verification,
)
from diptych.serving.routes import jobs as job_routes
from diptych.serving.routes import model_files as model_file_routes
from diptych.serving.server import Draining, DrainState
from diptych.serving.services import ClientGone, Services
from diptych.serving.settings import ServerSettings
from diptych.serving.storage.datasets import DataSets
from diptych.serving.storage.model_files import ModelFiles
from diptych.serving.storage.picture_reader import PictureReader

DESCRIPTION = "Recognise pictures, generate pictures, and let each check the other."
ROUTERS = tuple(
    group.router for group in (predictions, galleries, gallery_contents, generation, models, health, reference)
)
OPEN_PATHS = ("/health/live", "/health/ready")  # without a token, as the files of the page
GIGABYTE = 1_000_000_000
CODES = {404: "not_found", 405: "method_not_allowed"}
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it; nobody reads it but the metrics


def create_app(home: Path, settings: ServerSettings, data: Sequence[Path] = (), token: str | None = None) -> FastAPI:
    """The application that serves the models in the folders under ``home``.

    Parameters
    ----------
    data
        Folders of pictures that jobs may read, besides the data sets in ``home``/data.
    token
        Asked for by all but the page and the health checks; ``None``: no token is asked for.
    """
    services = Services(home, settings)
    datasets = DataSets(home, data, quota_bytes=int(settings.quota_gb * GIGABYTE))
    reader, jobs, drain = PictureReader(), Jobs(home, datasets), DrainState()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.start()
        jobs.start()
        yield
        await asyncio.to_thread(jobs.close)
        await reader.close()
        await services.close()  # uvicorn has answered every request by then

    app = FastAPI(
        title="Diptych", version=__version__, description=DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.services, app.state.jobs = services, jobs
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(page.router())
    app.include_router(verification.router(reader))
    app.include_router(dataset_routes.router(datasets, reader))
    app.include_router(maps.router(jobs, datasets))
    app.include_router(job_routes.router(jobs, lambda: drain.draining))
    app.include_router(model_file_routes.router(ModelFiles(home, jobs.uses_model)))
    app.state.drain = drain
    # The last is the outermost: what is refused is counted, and closes its connection when the server ends.
    app.add_middleware(BodyLimit, max_bytes=services.max_upload_bytes, seconds=settings.body_deadline_s)
    app.add_middleware(ContentTypeCheck)
    app.add_middleware(ClientLimit, requests=settings.client_requests)
    if token is not None:
        app.add_middleware(TokenCheck, token=token, open_paths=(*page.page_files(), *page.chart_paths(), *OPEN_PATHS))
    app.add_middleware(HostCheck, hosts=[settings.host])
    app.add_middleware(RequestMetrics, metrics=services.metrics)
    app.add_middleware(Draining, state=app.state.drain)
    app.add_exception_handler(DiptychError, _diptych_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientGone, _client_gone)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(Exception, _bug)
    return app


def error_response(status: int, code: str, message: str, headers: Any = None) -> Response:
    """An error in the one form that all of them have."""
    encodable = message.encode(errors="replace").decode()  # what a client sent may be no Unicode
    return JSONResponse({"error": {"code": code, "message": encodable}}, status, headers)


async def _diptych_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, DiptychError)
    status, code = status_and_code(error)
    return error_response(status, code, str(error), error.headers if isinstance(error, RequestError) else None)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = (f"{'.'.join(str(part) for part in problem['loc'][1:])}: {problem['msg']}" for problem in error.errors())
    return error_response(422, "bad_request", "; ".join(problems))


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, CODES.get(error.status_code, "error"), error.detail, error.headers)


async def _client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _bug(_: Request, error: Exception) -> Response:
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    return error_response(500, "internal", f"This is a bug in Diptych ({summary}). Please report it.")
