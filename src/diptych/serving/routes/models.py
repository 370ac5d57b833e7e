"""``/models``: which models there are, and what is known of each."""

from typing import Any

from fastapi import APIRouter, Request

from diptych.serving.catalog import summaries
from diptych.serving.services import Services

router = APIRouter(prefix="/models", tags=["models"])
EXAMPLE = {"models": [{"name": "pets", "kind": "recognizer", "classes": ["cat", "dog"], "size": 224}]}


@router.get(
    "",
    summary="List the models",
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}},
)
def list_models(request: Request) -> dict[str, Any]:
    """Name, kind, classes and picture size of each model; one that cannot be used says why."""
    return {"models": summaries(Services.of(request).catalog)}


@router.get("/{name}", summary="The facts of a model")
def model_facts(request: Request, name: str) -> dict[str, Any]:
    """What the model's folder says of it (``model.json``): how it was trained, and its scores."""
    return {"name": name, **Services.of(request).catalog.facts(name)}
