"""``/health/live``, ``/health/ready`` and ``/metrics``: for whatever watches the server."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from diptych.serving.errors import Unavailable
from diptych.serving.routes.examples import example
from diptych.serving.services import Services
from diptych.serving.worker.client import STARTING

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="Whether the server answers", responses=example({"status": "live"}))
async def live() -> dict[str, str]:
    """200 as long as the server answers at all."""
    return {"status": "live"}


@router.get("/health/ready", summary="Whether requests can be answered", responses=example({"status": "ready"}))
async def ready(request: Request) -> dict[str, str]:
    """200 while the workers take requests; 503 while one starts, or after it has died."""
    if not Services.of(request).ready:
        raise Unavailable(STARTING)
    return {"status": "ready"}


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Requests, latency, queue, batches and worker in Prometheus's text format."""
    return Response(Services.of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
