"""``/models/NAME/predict``, ``explain`` and ``embed``: what a recognizer says of pictures.

One picture is the raw body of the request, so that nothing is parsed before the worker decodes it.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from diptych.serving.batching import Answer, Picture
from diptych.serving.bodies import is_set, media_type, unpack
from diptych.serving.errors import RequestError
from diptych.serving.routes.examples import JSON, example
from diptych.serving.services import Services

router = APIRouter(prefix="/models/{name}", tags=["recognition"])
UNPACKED_FACTOR = 4  # times the upload limit: what an archive may hold
ROW = {
    "path": "cat.jpg",
    "label": "cat",
    "confidence": 0.97,
    "probabilities": {"cat": 0.97, "dog": 0.03},
    "unknown": False,
    "set": ["cat"],
}
PICTURE_BODY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
ONE_PICTURE: dict[str, Any] = {
    "required": True,
    "content": {"image/*": PICTURE_BODY, "application/octet-stream": PICTURE_BODY},
}
PICTURES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["pictures"],
    "properties": {"pictures": {"type": "array", "items": {"type": "object"}}},
}
MANY_PICTURES: dict[str, Any] = {
    "required": True,
    "content": {
        **ONE_PICTURE["content"],
        JSON: {"schema": PICTURES_SCHEMA, "example": {"pictures": [{"name": "cat.jpg", "data": "/9j/4AAQ…"}]}},
        "application/zip": PICTURE_BODY,
        "application/x-tar": PICTURE_BODY,
    },
}
Name = Annotated[str, Query(alias="path", max_length=4096, description="How the answer names the picture.")]


class UnreadablePictureError(RequestError):
    """A picture that cannot be read, in a request of this one picture."""

    code = "unreadable_picture"

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(f"The picture cannot be read: {reason}.")
        self.status = status


@router.post(
    "/predict",
    summary="Predict what is in pictures",
    response_class=Response,
    openapi_extra={"requestBody": MANY_PICTURES},
    responses=example(ROW),
)
async def predict(request: Request, name: str, path: Name = "picture") -> Response:
    """The label of a picture with its confidence: the JSON of ``diptych predict --json``.

    The body is one picture (``image/*`` or ``application/octet-stream``), which gives one object; or several as JSON in
    base64, as a ``.zip`` or a ``.tar``, which gives ``{"rows": [...]}`` in their order, where one that cannot be read
    has "error" in place of a label.
    """
    return await quick_answer(request, "predict", name, path)


@router.post(
    "/embed",
    summary="Embed pictures",
    response_class=Response,
    openapi_extra={"requestBody": MANY_PICTURES},
    responses=example({"path": "cat.jpg", "embedding": [0.031, -0.12]}),
)
async def embed(request: Request, name: str, path: Name = "picture") -> Response:
    """The features of pictures, vectors of unit length in which alike pictures lie near each other.

    Bodies and answers are those of predict, with "embedding" in place of a label.
    """
    return await quick_answer(request, "embed", name, path)


@router.post(
    "/explain",
    summary="Explain a prediction",
    response_class=Response,
    openapi_extra={"requestBody": ONE_PICTURE},
    responses=example({**ROW, "explained": "cat", "heatmap": "iVBORw0KGgo…", "neighbours": []}),
)
async def explain(
    request: Request,
    name: str,
    label: Annotated[str | None, Query(description="The class to explain; else the most likely.")] = None,
    path: Name = "picture",
) -> Response:
    """The prediction for one picture, with a heatmap of the evidence and the most similar training pictures.

    "heatmap" is a grey PNG in base64, white where the evidence for the class is strongest.
    """
    services = Services.of(request)
    services.catalog.check_kind(name, "recognizer")
    async with services.bodies.read(request) as body:
        options = {"names": [path], "label": label}
        frame = await services.slow(request, "explain", name, options, [body])
    return _single(Answer(frame.parts[0], frame.header["value"]["statuses"][0]))


async def quick_answer(
    request: Request, verb: str, name: str, path: str, options: str = "{}", model: str = "recognizer"
) -> Response:
    """The answer of the quick lane for one picture, or for a set of them.

    Parameters
    ----------
    path
        What the answer calls a single picture.
    options
        JSON for the worker; pictures with other options are computed apart.
    model
        The kind of model that the verb needs.
    """
    services = Services.of(request)
    services.catalog.check_kind(name, model)
    async with pictures_of(request, path) as pictures:
        answers = await services.quick(request, (verb, name, options), pictures)
    if not is_set(media_type(request)):
        return _single(answers[0])
    rows = b",".join(answer.row for answer in answers)
    return Response(b'{"rows": [' + rows + b"]}", media_type=JSON)


@asynccontextmanager
async def pictures_of(request: Request, path: str) -> AsyncIterator[list[Picture]]:
    """The picture that is the body, or the pictures in it, while they are in memory."""
    services, kind = Services.of(request), media_type(request)
    async with services.bodies.read(request) as body:
        limits = services.settings.queue, UNPACKED_FACTOR * services.max_upload_bytes
        yield await unpack(body, kind, *limits) if is_set(kind) else [Picture(path, body)]


def _single(answer: Answer) -> Response:
    if answer.status != 200:
        raise UnreadablePictureError(json.loads(answer.row)["error"], answer.status)
    return Response(answer.row, media_type=JSON)
