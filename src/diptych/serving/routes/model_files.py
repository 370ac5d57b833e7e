"""``/models/{name}``: rename and delete a model."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from diptych.serving.routes.examples import body_example, example
from diptych.serving.storage.model_files import ModelFiles


class NewName(BaseModel):
    """A model's new name."""

    name: str = Field(examples=["pets-2"])


def router(models: ModelFiles) -> APIRouter:
    """The routes of these models."""
    routes = APIRouter(prefix="/models", tags=["models"])

    @routes.patch("/{name}", responses=example({"name": "pets-2"}), openapi_extra=body_example({"name": "pets-2"}))
    def rename(name: str, new: NewName) -> dict[str, str]:
        """Rename a model; it answers under the new name from now on."""
        return {"name": models.rename(name, new.name)}

    @routes.delete("/{name}", status_code=204)
    def delete(name: str) -> None:
        """Delete a model for good."""
        models.delete(name)

    return routes
