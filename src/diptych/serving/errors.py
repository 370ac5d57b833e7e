"""Errors as HTTP answers: ``{"error": {"code", "message"}}``, never a traceback."""

from diptych.errors import (
    ArtefactError,
    DataError,
    DiptychError,
    NotFittedError,
    PictureError,
    UsageError,
)

RETRY_SECONDS = 1
UNUSABLE = "unusable_model"


class RequestError(DiptychError):
    """A request that cannot be answered; the root of the server's own errors."""

    status = 500
    code = "internal"
    headers: dict[str, str] = {}  # noqa: RUF012 - never written to


class NotFound(RequestError):  # noqa: N818 - the state is the name
    """Something that there is not."""

    status, code = 404, "not_found"


class Overloaded(RequestError):  # noqa: N818 - the state is the name
    """More than the server takes at a time."""

    status, code = 503, "overloaded"
    headers = {"Retry-After": str(RETRY_SECONDS)}  # noqa: RUF012


class Unavailable(Overloaded):
    """The worker has ended; another one is starting."""

    code = "unavailable"


class TimedOut(RequestError):  # noqa: N818 - the state is the name
    """A request that took too long."""

    status, code = 504, "timeout"


class WorkerError(RequestError):
    """An error of the worker, with the status of its class.

    Parameters
    ----------
    kind
        The name of the error's class.
    message
        Its message.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = STATUSES.get(kind, (500, "internal"))


STATUSES = {
    PictureError.__name__: (400, "unreadable_picture"),
    DataError.__name__: (400, "bad_data"),
    UsageError.__name__: (422, "bad_request"),
    ArtefactError.__name__: (409, UNUSABLE),
    NotFittedError.__name__: (409, UNUSABLE),
    MemoryError.__name__: (503, "out_of_memory"),
}


def status_and_code(error: DiptychError) -> tuple[int, str]:
    """The HTTP status of an error, and a stable word for it."""
    if isinstance(error, RequestError):
        return error.status, error.code
    kinds = (kind.__name__ for kind in type(error).__mro__)
    return next((STATUSES[kind] for kind in kinds if kind in STATUSES), (500, "internal"))
