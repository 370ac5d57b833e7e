"""ASGI middleware that refuses requests: foreign pages, strangers, unsuitable bodies, too large, too slow, too many.

Each class wraps an ASGI application and takes plain arguments. From the outside in: :class:`HostCheck`,
:class:`TokenCheck`, :class:`ClientLimit`, :class:`ContentTypeCheck`, :class:`BodyLimit`.
"""

import asyncio
import hmac
import ipaddress
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diptych.serving.refusals import RefusedError, refuse

#: A body that arrives at least this fast is waited for beyond the deadline.
MIN_BODY_BYTES_PER_SECOND = 50_000
_LOOPBACK_NAMES = ("localhost",)
_CONTENT_TYPES = ("application/json", "application/octet-stream", "application/zip", "application/x-tar")
_READING_METHODS = ("GET", "HEAD")


class Middleware:
    """An ASGI application around another one, which sees every HTTP request first."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or whatever else ASGI has."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self.check(scope, Headers(scope=scope))
        except RefusedError as error:
            await refuse(scope, send, error)
            return
        await self.pass_on(scope, receive, send)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raise a :class:`RefusedError` for a request to be refused by its first line and headers."""

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the wrapped application answer."""
        await self.app(scope, receive, send)


class HostCheck(Middleware):
    """Refuse with 403 what a page of another site asks a browser to send here.

    A page whose name was pointed at this machine (DNS rebinding) shows in Host, which must be an IP address, localhost
    or one of ``hosts``; any other page shows in Origin or Sec-Fetch-Site. Programs send neither of these two.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()) -> None:
        super().__init__(app)
        self._names = {name.lower().rstrip(".") for name in (*_LOOPBACK_NAMES, *hosts)}

    def check(self, scope: Scope, headers: Headers) -> None:
        """Compare Host, Origin and Sec-Fetch-Site."""
        host = headers.get("host", "")
        name = _host_name(host)
        if not (name in self._names or _is_address(name)):
            raise RefusedError(
                403,
                "foreign_host",
                f"This server does not answer to the name {name or '(none)'}. Use its address, or start it with --host "
                "and that name.",
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            raise RefusedError(403, "foreign_origin", f"Pages of {origin} may not use this server.")
        is_visit = scope["method"] in _READING_METHODS and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_visit:
            raise RefusedError(403, "foreign_origin", "Pages of other sites may not use this server.")


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it is not valid."""
    with suppress(ValueError):
        parts = urlsplit(f"//{host}")
        valid = parts.netloc == host and "@" not in host and (parts.port is None or parts.port > 0)
        return (parts.hostname or "").rstrip(".") if valid else ""
    return ""


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


class TokenCheck(Middleware):
    """Ask for ``Authorization: Bearer TOKEN``, and refuse with 401 without it; ``open_paths`` are for everyone."""

    def __init__(self, app: ASGIApp, *, token: str, open_paths: Collection[str] = ()) -> None:
        super().__init__(app)
        self._token = token.encode()
        self._open_paths = frozenset(open_paths)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Compare the token, in a time that does not depend on how much of it is right."""
        if scope["path"] in self._open_paths:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        matches = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not matches:
            raise RefusedError(
                401,
                "unauthorized",
                "This server asks for a token, which it printed when it started. Send it as: Authorization: Bearer "
                "TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )


class ClientLimit(Middleware):
    """Refuse with 429 what a client asks for while ``requests`` of its own are still being answered."""

    def __init__(self, app: ASGIApp, *, requests: int) -> None:
        super().__init__(app)
        self._limit = requests
        self._in_flight: Counter[str] = Counter()

    def check(self, scope: Scope, headers: Headers) -> None:
        """Compare the number of requests in flight."""
        if self._in_flight[_address(scope)] >= self._limit:
            raise RefusedError(
                429,
                "too_many_requests",
                f"{self._limit} requests of this address are being answered. Wait for one of them.",
                {"Retry-After": "1"},
            )

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request until it is answered."""
        address = _address(scope)
        self._in_flight[address] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._in_flight[address] -= 1
            if not self._in_flight[address]:
                del self._in_flight[address]


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


class ContentTypeCheck(Middleware):
    """Refuse with 415 bodies that are not JSON, pictures, archives or bytes; among these forms of foreign pages."""

    def check(self, scope: Scope, headers: Headers) -> None:
        """Compare the content type of a request with a body."""
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if has_body and kind not in _CONTENT_TYPES and not kind.startswith("image/"):
            raise RefusedError(
                415,
                "unsupported_content_type",
                f"A body of type {kind or '(none)'} is not read. Send a picture as image/jpeg (or another image type) "
                "or application/octet-stream, anything else as application/json, application/zip or application/x-tar.",
            )


class BodyLimit(Middleware):
    """Refuse with 413 a body of more than ``max_bytes``, with 408 one that takes too long; it is never held here.

    A body must be complete within ``seconds``, and a second more for each 50 kB that have arrived.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float) -> None:
        super().__init__(app)
        self._max_bytes = max_bytes
        self._seconds = seconds

    def check(self, scope: Scope, headers: Headers) -> None:
        """Compare the length that the client states."""
        stated = headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self._max_bytes:
            raise self._too_large()

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives, and answer with a refusal whatever the application makes of it."""
        body = _CountedBody(receive, send, self._max_bytes, self._seconds, self._too_large())
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            if body.refusal is None and not body.client_left:
                raise
        if body.refusal is not None and not body.answered:
            await refuse(scope, send, body.refusal)

    def _too_large(self) -> RefusedError:
        megabytes = f"{self._max_bytes / 1e6:g}"
        return RefusedError(413, "too_large", f"The limit of a request is {megabytes} MB. Send less at a time.")


class _CountedBody:
    """The body of one request as it arrives."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int, seconds: float, too_large: RefusedError) -> None:
        self._receive, self._send = receive, send
        self._max_bytes, self._seconds, self._too_large = max_bytes, seconds, too_large
        self._started: float | None = None
        self._bytes = 0
        self._complete = False
        self.refusal: RefusedError | None = None
        self.answered = False
        self.client_left = False

    async def receive(self) -> Message:
        """The next part of the body; once it is complete, whatever follows, without a deadline."""
        if self.refusal is not None:
            raise self.refusal
        message = await (self._receive() if self._complete else self._next_part())
        self.client_left = message["type"] == "http.disconnect" and not self._complete
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._bytes > self._max_bytes:
            self.refusal = self._too_large
            raise self.refusal
        return message

    async def _next_part(self) -> Message:
        now = asyncio.get_running_loop().time()
        self._started = now if self._started is None else self._started
        deadline = self._started + self._seconds + self._bytes / MIN_BODY_BYTES_PER_SECOND
        try:
            async with asyncio.timeout_at(deadline):
                return await self._receive()
        except TimeoutError:
            self.refusal = RefusedError(
                408, "body_timeout", "The body of the request did not arrive in time. Send it again.",
                {"Connection": "close"},
            )  # fmt: skip
            raise self.refusal from None

    async def send(self, message: Message) -> None:
        """Pass the application's answer on, unless the request is refused before it begins."""
        if self.refusal is None or self.answered:
            self.answered = True
            await self._send(message)
