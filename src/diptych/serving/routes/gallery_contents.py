"""``/models/NAME/labels`` and ``pictures``: what is in a gallery, and how it is changed."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from diptych.serving.routes.examples import body_example, example
from diptych.serving.services import Services

router = APIRouter(prefix="/models/{name}", tags=["gallery"])
MAX_PAGE = 1000  # pictures listed, or changed, in one request
ID = "200840053b4c8112"
Ids = Annotated[list[str], Field(max_length=MAX_PAGE)]
Label = Annotated[str, Field(min_length=1, max_length=255)]


class Relabelling(BaseModel):
    """A label, and the one that its pictures get: a new name, or that of another label, which takes them over."""

    label: Label
    into: Label


class Reassignment(BaseModel):
    """Pictures of a gallery by their ids, and the label that they get."""

    ids: Ids
    label: Label


class Removal(BaseModel):
    """Pictures of a gallery by their ids, and labels whose pictures all go."""

    ids: Ids = []
    labels: Annotated[list[Label], Field(max_length=MAX_PAGE)] = []


@router.get("/labels", summary="List the labels of a gallery", responses=example({"labels": {"cat": 21, "dog": 20}}))
async def labels(request: Request, name: str) -> dict[str, Any]:
    """The labels, each with the number of its pictures."""
    return await _asked(request, name, "labels")


@router.get(
    "/pictures",
    summary="List the pictures of a label",
    responses=example({"pictures": [{"id": ID, "path": "cat/3.jpg", "label": "cat"}]}),
)
async def pictures(
    request: Request,
    name: str,
    label: Annotated[str, Query(max_length=255)],
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> dict[str, Any]:
    """Pictures of a gallery's label, ``limit`` at a time, with the ids that thumbnails and changes take."""
    return await _asked(request, name, "pictures", label=label, offset=offset, limit=limit)


@router.post(
    "/pictures/relabel",
    summary="Rename or join labels",
    responses=example({"changed": 21}),
    openapi_extra=body_example({"label": "cat", "into": "kitten"}),
)
async def relabel(request: Request, name: str, change: Relabelling) -> dict[str, Any]:
    """Give all pictures of a label another one, which may be there already."""
    return await _asked(request, name, "relabel", **change.model_dump())


@router.post(
    "/pictures/reassign",
    summary="Give pictures another label",
    responses=example({"changed": 1}),
    openapi_extra=body_example({"ids": [ID], "label": "dog"}),
)
async def reassign(request: Request, name: str, change: Reassignment) -> dict[str, Any]:
    """Give pictures, by their ids, another label, which may be new: so a label is split."""
    return await _asked(request, name, "reassign", **change.model_dump())


@router.post(
    "/pictures/remove",
    summary="Remove pictures from a gallery",
    responses=example({"changed": 1}),
    openapi_extra=body_example({"ids": [ID]}),
)
async def remove(request: Request, name: str, change: Removal) -> dict[str, Any]:
    """Remove pictures, by their ids or their labels, from the disk too."""
    return await _asked(request, name, "remove", **change.model_dump())


async def _asked(request: Request, name: str, operation: str, **arguments: Any) -> dict[str, Any]:
    services = Services.of(request)
    services.catalog.check_kind(name, "gallery")
    options = {"operation": operation, "arguments": arguments}
    value: dict[str, Any] = (await services.slow(request, "contents", name, options)).header["value"]
    return value
