"""``/models/NAME/match`` and ``enroll``: a gallery's nearest pictures, and new ones for it."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from diptych.recognition.gallery.table import parse_filter
from diptych.serving.batching import Picture
from diptych.serving.errors import NotFound
from diptych.serving.routes.examples import example
from diptych.serving.routes.predictions import MANY_PICTURES, Name, pictures_of, quick_answer
from diptych.serving.services import Services

router = APIRouter(prefix="/models/{name}", tags=["gallery"])
MAX_NEAREST = 1000
MATCH = {
    "path": "probe.jpg",
    "label": "cat",
    "confidence": 0.91,
    "distance": 0.21,
    "unknown": False,
    "nearest": [{"id": "200840053b4c8112", "path": "cat/3.jpg", "label": "cat", "distance": 0.21}],
}
ENROLLED = {"added": 1, "present": 0, "unreadable": [], "pictures": 41, "labels": {"cat": 21, "dog": 20}}


@router.post(
    "/match",
    summary="Match pictures with those in a gallery",
    response_class=Response,
    openapi_extra={"requestBody": MANY_PICTURES},
    responses=example(MATCH),
)
async def match(
    request: Request,
    name: str,
    k: Annotated[int, Query(ge=1, le=MAX_NEAREST, description="How many nearest pictures vote and are named.")] = 20,
    far: Annotated[
        float | None, Query(gt=0, lt=1, description="False-accept rate that the threshold for unknown keeps.")
    ] = None,
    where: Annotated[
        list[str] | None, Query(max_length=100, description="COLUMN=VALUE: compare only with pictures that have it.")
    ] = None,
    path: Name = "picture",
) -> Response:
    """The label that the nearest pictures vote for, its share of the vote, the distance, or unknown.

    Bodies and answers are those of predict, for one picture or several.
    """
    options = {"k": k, "far": far, "where": parse_filter(where or ())}
    return await quick_answer(request, "match", name, path, json.dumps(options, sort_keys=True), "gallery")


@router.post(
    "/enroll",
    summary="Add pictures to a gallery",
    response_class=JSONResponse,
    openapi_extra={"requestBody": MANY_PICTURES},
    responses=example(ENROLLED),
)
async def enroll(
    request: Request,
    name: str,
    label: Annotated[str, Query(min_length=1, max_length=255, description="The label of these pictures.")],
    path: Name = "picture",
) -> JSONResponse:
    """Add pictures under a label, which may be new; they are kept when this answers.

    The gallery must be there: ``diptych enroll`` makes one. A picture that is in it already stays as it is.
    """
    services = Services.of(request)
    services.catalog.check_kind(name, "gallery")
    async with pictures_of(request, path) as pictures:
        options = {"label": label, "names": [picture.name for picture in pictures]}
        frame = await services.slow(request, "enroll", name, options, [picture.content for picture in pictures])
    return JSONResponse(frame.header["value"])


@router.get("/thumbnails/{picture}", summary="A picture of a gallery, small", response_class=Response)
async def thumbnail(
    request: Request, name: str, picture: Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Its id.")]
) -> Response:
    """The JPEG that a gallery keeps of an enrolled picture, by the id that a match names it with."""
    services = Services.of(request)
    services.catalog.check_kind(name, "gallery")
    (answer,) = await services.quick(request, ("thumbnails", name, "{}"), [Picture(picture, b"")])
    if answer.status != 200:
        raise NotFound(f"The gallery {name} has no picture {picture}.")
    return Response(answer.row, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})
