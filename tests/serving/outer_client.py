"""Starting ``outer_server.py``, and asking it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("outer_server.py")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable word of an error."""
        return self.json()["error"]["code"]


class Server:
    def __init__(self, home: Path, **options: Any) -> None:
        words = [sys.executable, str(SCRIPT), str(home), json.dumps(options)]
        self.log = home.with_name(f"{home.name}.log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)
        self.port = int(self.process.stdout.readline())
        wait_until(lambda: self.get("/health/live").status == 200)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        headers = dict(headers or {})
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def put_picture(self, path: str, data: bytes, kind: str = "image/png") -> Answer:
        return self.ask("PUT", path, data, {"Content-Type": kind})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def memory(self) -> int:
        """The bytes that the process has in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(240)
        self.process.stdout.close()


def read_answer(client: socket.socket) -> Answer:
    """The whole next answer on a connection."""
    with http.client.HTTPResponse(client) as answer:
        answer.begin()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


@contextmanager
def serving(home: Path, **options: Any):
    server = Server(home, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def wait_until(condition, seconds: float = 30.0) -> None:
    """Wait for something that happens soon; fails if it does not."""
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _holds(condition) -> bool:
    try:
        return bool(condition())
    except ConnectionError:
        return False
