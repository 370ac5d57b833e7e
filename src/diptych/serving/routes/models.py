"""``/models``: which models there are, and what is known of each."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse

from diptych import artefact
from diptych.serving.catalog import summaries
from diptych.serving.errors import NotFound
from diptych.serving.routes.examples import example
from diptych.serving.services import Services
from diptych.serving.storage.runs import unfinished_runs

router = APIRouter(prefix="/models", tags=["models"])
#: A report is shown as a document of no origin and without scripts, which can ask this server for nothing.
DOCUMENT_HEADERS = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
SAMPLES = "samples"  # the folder of grids in a synthesizer's
EXAMPLE = {
    "models": [{"name": "pets", "kind": "recognizer", "classes": ["cat", "dog"], "size": 224}],
    "unfinished": [{"name": "pets-2", "state": "running", "job": "20261129-120501-…", "seen_pictures": 12800}],
}

FACTS = {
    "name": "pets",
    "kind": "recognizer",
    "classes": ["cat", "dog"],
    "size": 224,
    "scores": {"accuracy": {"value": 0.96, "low": 0.93, "high": 0.98, "n": 200}},
}


@router.get(
    "",
    summary="List the models",
    responses=example(EXAMPLE),
)
def list_models(request: Request) -> dict[str, Any]:
    """Name, kind, classes and picture size of each model; one that cannot be used says why.

    "unfinished" are trainings that go on or were left half-way, with their state.
    """
    catalog = Services.of(request).catalog
    return {"models": summaries(catalog), "unfinished": unfinished_runs(catalog.home, request.app.state.jobs)}


@router.get("/{name}/report", summary="The report of a model", response_class=FileResponse)
def model_report(request: Request, name: str) -> FileResponse:
    """The page that was written when the model was fitted: one file, without scripts, that asks no other host."""
    report = artefact.path_of(Services.of(request).catalog.folder(name), "report.html")
    if not report.is_file():
        raise NotFound(f"{name} has no report.")
    return FileResponse(report, headers=DOCUMENT_HEADERS)


@router.get("/{name}/samples", summary="The samples of a training", responses=example({"samples": [3200, 6400]}))
def samples(request: Request, name: str) -> dict[str, list[int]]:
    """The moments of a synthesizer's training, in pictures seen, of which there is a grid of samples."""
    folder = Services.of(request).catalog.folder(name) / SAMPLES
    return {"samples": sorted(int(path.stem) for path in folder.glob("*.png") if path.stem.isdigit())}


@router.get("/{name}/samples/{seen_pictures}", summary="A grid of samples", response_class=FileResponse)
def sample_grid(request: Request, name: str, seen_pictures: Annotated[int, Path(ge=0, le=10**12)]) -> FileResponse:
    """The grid of samples of one moment, a PNG."""
    grid = Services.of(request).catalog.folder(name) / SAMPLES / f"{seen_pictures:09d}.png"
    if not grid.is_file():
        raise NotFound(f"{name} has no samples of that moment.")
    return FileResponse(grid, media_type="image/png")


@router.get("/{name}", summary="The facts of a model", responses=example(FACTS))
def model_facts(request: Request, name: str) -> dict[str, Any]:
    """What the model's folder says of it (``model.json``): how it was trained, and its scores."""
    return {"name": name, **Services.of(request).catalog.facts(name)}
