"""Examples of bodies and answers, for the OpenAPI document."""

from typing import Any

JSON = "application/json"


def example(value: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route whose answer is JSON like this."""
    return {status: {"content": {JSON: {"example": value}}}}


def body_example(value: Any) -> dict[str, Any]:
    """The ``openapi_extra`` of a route whose body is JSON like this."""
    return {"requestBody": {"content": {JSON: {"example": value}}}}
