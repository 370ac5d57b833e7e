"""The server as uvicorn runs it, and how it ends: everything that it has accepted is answered."""

import asyncio
import socket
import time

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diptych.serving.deadlines import connection_protocol
from diptych.serving.settings import ServerSettings

GRACE_SECONDS = 1.0  # for requests that are on their way over connections that are open already
POLL_SECONDS = 0.02
CLOSE = (b"connection", b"close")


class Draining:
    """ASGI middleware: once the server ends, each answer says that its connection closes.

    So a client sends its next request elsewhere, rather than over a connection that is about to be closed.
    """

    def __init__(self, app: ASGIApp, state: "DrainState") -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._state.draining:
                message["headers"] = [*message.get("headers", ()), CLOSE]
            await send(message)

        await self._app(scope, receive, closing)


class DrainState:
    """Whether the server is about to end."""

    draining = False


class Server(uvicorn.Server):
    """Ends on SIGTERM and Ctrl-C: takes no new connection, answers what comes over the open ones, then closes them."""

    def __init__(self, app: FastAPI, settings: ServerSettings) -> None:
        protocol = connection_protocol(settings.header_deadline_s, settings.client_connections)
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", http=protocol))
        self._state: DrainState = app.state.drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._state.draining = True
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        until = time.monotonic() + GRACE_SECONDS
        while self.server_state.connections and time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(POLL_SECONDS)
        await super().shutdown()
