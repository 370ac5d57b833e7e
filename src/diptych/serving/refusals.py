"""A request that is refused: its HTTP status, a stable word for programs, and a sentence for people."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Send

from diptych.serving.errors import RequestError


class RefusedError(RequestError):
    """A request that is refused.

    Attributes
    ----------
    status
        Of HTTP, such as 413.
    code
        A word for programs, such as ``too_large``; it stays the same from version to version.
    headers
        Further headers of the answer, such as Retry-After.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer to the client."""
        content = {"error": {"code": self.code, "message": str(self)}}
        return JSONResponse(content, self.status, self.headers)


async def refuse(scope: Any, send: Send, error: RefusedError) -> None:
    """Answer from a middleware, without reading what is left of the request."""

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    await error.response()(scope, receive, send)
