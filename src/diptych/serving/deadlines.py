"""The connections of uvicorn with a deadline for headers, and with room for everyone.

A client that sends its headers a byte at a time holds a connection and nothing else. It is closed at the deadline, and
sooner where its address has more connections than it may: the oldest that has not asked for anything makes room for the
newest, so that slow clients cost a quick one nothing, also where all come from the same address.
"""

import asyncio
import json
from collections import defaultdict
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Read at a time (asyncio: 256 kB). What is read is parsed at once, so that others are answered in between.
READ_BYTES = 16_384
#: What the framing of a chunked body may take beyond a quarter of the body: 3 MB in chunks of 6 bytes would keep a
#: processor busy for ten seconds.
MAX_FRAMING_BYTES = 100_000
#: A connection of this age has had its chance to ask; of younger ones so many may be in excess, and no more.
GRACE_SECONDS = 0.25
MAX_YOUNG = 400
#: After a refusal what a client still sends is read and dropped for a while: a connection that is closed with unread
#: data is reset, and the answer is lost on its way.
LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 1 << 20
_FRAMING = "The body of the request comes in too small chunks."


class DeadlineProtocol(H11Protocol):
    """One connection; made by :func:`connection_protocol`."""

    header_seconds: float
    client_connections: int
    peers: defaultdict[str, dict["DeadlineProtocol", None]]  # by address; the oldest first
    _address = ""
    _deadline: asyncio.TimerHandle | None = None
    _opened = 0.0
    _framing_bytes = 0
    _lingering = False
    _lingered_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline, and make room where there are too many connections of this address."""
        super().connection_made(transport)
        vars(transport)["max_size"] = READ_BYTES
        self._address, self._opened = (self.client or ("",))[0], self.loop.time()
        self.peers[self._address][self] = None
        self._set_deadline()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Parse, and see whether a request's headers are complete and its body is not mostly framing."""
        if self._lingering:
            self._drop(data)
            return
        cycle, held = self.cycle, 0 if self.is_waiting else len(self.cycle.body)
        super().data_received(data)
        self._set_deadline()
        if self.cycle is not cycle or self.is_waiting:
            self._framing_bytes = 0
            return
        body_bytes = len(self.cycle.body) - held
        self._framing_bytes += len(data) - body_bytes - body_bytes // 4
        if self._framing_bytes > MAX_FRAMING_BYTES:
            self._refuse_framing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        super().connection_lost(exc)
        self._cancel_deadline()
        self._leave()

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered: before the first, between two, and while an old body drips in."""
        return self._lingering or self.cycle is None or self.cycle.response_complete

    def close(self) -> None:
        """End the connection without an answer."""
        self._leave()
        if not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or whose first line and headers are too long, and close once that is read."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            content = json.dumps({"error": {"code": "invalid_http", "message": msg}}).encode()
            headers = [("content-type", "application/json"), ("content-length", str(len(content)))]
            answer = h11.Response(status_code=400, headers=[*headers, ("connection", "close")], reason=b"Bad Request")
            for event in (answer, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self._linger()

    def _linger(self) -> None:
        self._lingering = True
        self._cancel_deadline()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._deadline = self.loop.call_later(LINGER_SECONDS, self.close)

    def _drop(self, data: bytes) -> None:
        self._lingered_bytes += len(data)
        if self._lingered_bytes > MAX_LINGER_BYTES:
            self.close()

    def _refuse_framing(self) -> None:
        self.send_400_response(_FRAMING)
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _set_deadline(self) -> None:
        if not self.is_waiting:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self.close)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _make_room(self) -> None:
        peers = self.peers[self._address]
        excess = len(peers) - self.client_connections
        for peer in [peer for peer in peers if peer.is_waiting][: max(0, excess)]:
            if self._opened - peer._opened > GRACE_SECONDS or excess > MAX_YOUNG:
                peer.close()
                excess -= 1

    def _leave(self) -> None:
        self.peers[self._address].pop(self, None)
        if not self.peers[self._address]:
            del self.peers[self._address]


def connection_protocol(header_seconds: float, client_connections: int) -> type[DeadlineProtocol]:
    """The class for ``uvicorn.Config(http=…)``.

    Parameters
    ----------
    header_seconds
        Until a request's headers must be complete, from the connection's beginning or from the next request's.
    client_connections
        How many connections a client's address may have open.
    """
    limits: dict[str, Any] = {
        "header_seconds": header_seconds,
        "client_connections": client_connections,
        "peers": defaultdict(dict),
    }
    return type("LimitedConnection", (DeadlineProtocol,), limits)
