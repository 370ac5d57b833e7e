"""``/datasets``: list, create, upload, thumbnails, relabel, delete, and the manifest."""

import asyncio
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from diptych.data.inspection.manifest import csv_text
from diptych.errors import PictureError
from diptych.serving.refusals import RefusedError
from diptych.serving.routes.examples import body_example, example
from diptych.serving.storage.datasets import DataSets
from diptych.serving.storage.picture_reader import PictureReader

THUMBNAIL_SIDES = (16, 512)  # px
MAX_PAGE = 1000  # pictures listed or relabelled in one request
PETS = {"name": "pets", "pictures": 42, "classes": {"cat": 21, "dog": 21}, "writable": True}
EMPTY = {"name": "pets", "pictures": 0, "classes": {}, "writable": True}
PICTURE = {"path": "cat/1.jpg", "label": "cat", "bytes": 48213}
CHANGE = {"pictures": ["cat/1.jpg", "cat/7.jpg"], "label": "dog"}
CHANGED = {"pictures": ["dog/1.jpg", "dog/7.jpg"]}
PICTURES = {"pictures": ["cat/1.jpg"]}


class NewDataSet(BaseModel):
    """A data set to create."""

    name: str = Field(examples=["pets"])


class Relabelling(BaseModel):
    """Pictures of a data set, and the label that they get."""

    pictures: list[str] = Field(max_length=MAX_PAGE, examples=[["cat/1.jpg", "cat/7.jpg"]])
    label: str = Field(examples=["dog"])


class Chosen(BaseModel):
    """Pictures of a data set."""

    pictures: list[str] = Field(max_length=MAX_PAGE, examples=[["cat/1.jpg"]])


def router(datasets: DataSets, reader: PictureReader) -> APIRouter:
    """The routes of these data sets; ``reader`` checks and shrinks pictures."""
    routes = APIRouter(prefix="/datasets", tags=["data sets"])

    @routes.get("", responses=example({"datasets": [PETS]}))
    def list_data_sets() -> dict[str, list[dict[str, Any]]]:
        """All data sets, with the number of pictures of each class."""
        return {"datasets": [_facts(datasets, name) for name in datasets.names()]}

    @routes.post("", status_code=201, responses=example(EMPTY, 201), openapi_extra=body_example({"name": "pets"}))
    def create_data_set(new: NewDataSet) -> dict[str, Any]:
        """An empty data set, to upload pictures into."""
        return _facts(datasets, datasets.create(new.name))

    @routes.get("/{name}", responses=example(PETS))
    def data_set(name: str) -> dict[str, Any]:
        """One data set, with the number of pictures of each class."""
        return _facts(datasets, name)

    @routes.get("/{name}/manifest", response_class=Response)
    def manifest(name: str) -> Response:
        """The manifest as CSV: a row for each picture, to be edited and given to ``diptych fit --manifest``."""
        headers = {"Content-Disposition": 'attachment; filename="manifest.csv"'}
        return Response(_manifest(datasets, name), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.post("/{name}/relabel", responses=example(CHANGED), openapi_extra=body_example(CHANGE))
    def relabel(name: str, change: Relabelling) -> dict[str, Any]:
        """Give pictures another label: they move to the folder of that class, all or none."""
        return {"pictures": datasets.relabel(name, change.pictures, change.label)}

    @routes.post("/{name}/drop", responses=example(PICTURES), openapi_extra=body_example(PICTURES))
    def drop(name: str, chosen: Chosen) -> dict[str, Any]:
        """Set pictures aside, all or none: no training or list sees them until they are restored."""
        return {"pictures": datasets.drop(name, chosen.pictures)}

    @routes.post("/{name}/restore", responses=example(PICTURES), openapi_extra=body_example(PICTURES))
    def restore(name: str, chosen: Chosen) -> dict[str, Any]:
        """Take pictures that were dropped into the set again."""
        return {"pictures": datasets.restore(name, chosen.pictures)}

    _add_pictures(routes, datasets, reader)
    return routes


def _add_pictures(routes: APIRouter, datasets: DataSets, reader: PictureReader) -> None:
    """The routes of single pictures."""

    @routes.get("/{name}/pictures", responses=example({"pictures": [PICTURE]}))
    def list_pictures(
        name: str,
        label: str | None = None,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> dict[str, Any]:
        """Pictures in the order of their paths, ``limit`` at a time."""
        pictures = (p for p in datasets.pictures(name) if label in (None, p.label))
        return {"pictures": [vars(picture) for picture in islice(pictures, offset, offset + limit)]}

    @routes.put(
        "/{name}/pictures/{label}/{file}",
        status_code=201,
        responses=_UPLOADED,
        openapi_extra=_PICTURE_BODY,
    )
    async def upload(name: str, label: str, file: str, request: Request) -> dict[str, Any]:
        """Add the picture in the body to a class, under a file name that is not taken."""
        datasets.place(name, label, file)
        with datasets.draft() as draft:
            async for part in request.stream():
                draft.write(part)
            await asyncio.to_thread(draft.finish)
            try:
                facts = await reader.read(draft.path, file)
            except PictureError as error:
                raise RefusedError(415, "not_a_picture", str(error)) from error
            picture = await asyncio.to_thread(datasets.keep, draft, name, label, file)
        return {**vars(picture), "width": facts.width, "height": facts.height}

    @routes.get("/{name}/pictures/{path:path}", response_class=FileResponse)
    def picture(name: str, path: str) -> FileResponse:
        """A picture as it was uploaded, as a download."""
        return FileResponse(datasets.picture(name, path), media_type="application/octet-stream", headers=_AS_FILE)

    @routes.delete("/{name}/pictures/{path:path}", status_code=204)
    def delete(name: str, path: str) -> None:
        """Delete a picture for good."""
        datasets.delete(name, path)

    @routes.get("/{name}/thumbnails/{path:path}", response_class=Response)
    async def thumbnail(
        name: str, path: str, side: Annotated[int, Query(ge=THUMBNAIL_SIDES[0], le=THUMBNAIL_SIDES[1])] = 160
    ) -> Response:
        """A picture as a JPEG of at most ``side`` px a side, upright."""
        facts = await reader.read(datasets.picture(name, path), path, side)
        return Response(facts.thumbnail, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})


_UPLOADED = example({**PICTURE, "width": 640, "height": 480}, 201)
_AS_FILE = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
_PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*",)},
    }
}


def _facts(datasets: DataSets, name: str) -> dict[str, Any]:
    """A data set as JSON."""
    counts = datasets.counts(name)
    return {
        "name": name,
        "pictures": sum(counts.values()),
        "classes": {label: n for label, n in counts.items() if label},
        "writable": datasets.is_writable(name),
    }


def _manifest(datasets: DataSets, name: str) -> str:
    labelled = ((picture.path, [picture.label] if picture.label else []) for picture in datasets.pictures(name))
    return csv_text((path, labels, "", "keep", "") for path, labels in labelled)
