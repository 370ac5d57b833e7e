"""``/datasets/NAME/map`` and ``/models/NAME/map``: the newest map of a data set or of a gallery."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from diptych.serving.jobs.queue import Jobs
from diptych.serving.routes.examples import example
from diptych.serving.storage.datasets import DataSets

_EXAMPLE = {
    "embedder": "lite0",
    "pictures": 2,
    "data": ["pets", "pets"],
    "path": ["cat/1.jpg", "dog/1.jpg"],
    "label": ["cat", "dog"],
    "origin": ["real", "real"],
    "predicted": ["cat", "cat"],
    "x": [-4.182, 7.031],
    "y": [0.377, -2.908],
}


def router(jobs: Jobs, datasets: DataSets) -> APIRouter:
    """The routes of the maps that these jobs have made."""
    routes = APIRouter(tags=["maps"])

    @routes.get("/datasets/{name}/map", response_class=FileResponse, responses=example(_EXAMPLE))
    def data_set_map(
        name: str,
        beside: Annotated[list[str] | None, Query(description="Other data sets on the same map, in order.")] = None,
        model: Annotated[
            str | None, Query(description="What embedded the pictures; else the built-in backbone.")
        ] = None,
    ) -> FileResponse:
        """The pictures of a data set as points in a plane, alike ones near each other: a list for each column.

        A map is made by a job: ``{"verb": "map", "options": {"data": NAME}}``, or a list of names, and kept with it.
        """
        datasets.folder(name)
        return _file(jobs, data=[name, *beside] if beside else name, model=model)

    @routes.get("/models/{name}/map", response_class=FileResponse, responses=example(_EXAMPLE))
    def gallery_map(name: str) -> FileResponse:
        """The pictures of a gallery as points in a plane, by the vectors that are searched; "id" is that of matches.

        A map is made by a job: ``{"verb": "map", "options": {"model": NAME}}``, and kept with it.
        """
        return _file(jobs, data=None, model=name)

    return routes


def _file(jobs: Jobs, **options: Any) -> FileResponse:
    return FileResponse(jobs.newest_map(**options).path / "map.json", media_type="application/json")
