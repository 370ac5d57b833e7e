"""Overload, a killed worker, slow requests beside quick ones, the end by SIGTERM: nothing is lost or wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import diptych
from tests.serving.conftest import ServerProcess


@pytest.fixture(scope="module")
def small_server(home: Path) -> Iterator[ServerProcess]:
    """A server with room for four waiting pictures and three slow requests."""
    server = ServerProcess(home, "--queue", "4", "--batch", "2", "--slow-queue", "3")
    yield server
    server.stop()


def wait_for(condition: object, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_the_queue_does_not_hold_is_refused_and_every_answer_is_right(
    small_server: ServerProcess, home: Path, pictures: list[bytes]
) -> None:
    expected = diptych.load(home / "colours").predict(pictures).names
    rounds = list(range(len(pictures))) * 10
    with ThreadPoolExecutor(24) as clients:
        replies = list(clients.map(lambda i: small_server.request("/models/colours/predict", pictures[i]), rounds))
    refused = [reply for reply in replies if reply.status != 200]
    assert refused
    assert {(reply.status, reply.headers["Retry-After"]) for reply in refused} == {(503, "1")}
    answered = [
        (reply.json["label"], expected[i]) for reply, i in zip(replies, rounds, strict=True) if reply not in refused
    ]
    assert answered
    assert all(label == right for label, right in answered)
    assert small_server.metric("diptych_queue_pictures") == 0


def test_more_pictures_than_the_queue_holds_are_refused_whole(
    small_server: ServerProcess, pictures: list[bytes]
) -> None:
    from base64 import b64encode

    body = {"pictures": [b64encode(picture).decode() for picture in pictures[:5]]}
    assert small_server.post_json("/models/colours/predict", body).status == 422


def test_a_slow_request_does_not_hold_the_quick_ones_up(small_server: ServerProcess, pictures: list[bytes]) -> None:
    with ThreadPoolExecutor(4) as clients:
        slow = [clients.submit(sample, small_server) for _ in range(3)]
        wait_for(lambda: small_server.metric("diptych_slow_requests") == 3)
        assert sample(small_server).status == 503  # there is room for three
        assert small_server.request("/models/colours/predict", pictures[0]).status == 200
        assert not all(request.done() for request in slow)
        assert [request.result().status for request in slow] == [200] * 3


def sample(server: ServerProcess):
    return server.post_json("/models/colours-vae/sample", {"number": 256})


def test_a_killed_worker_is_noticed_at_once_and_another_one_answers(
    small_server: ServerProcess, pictures: list[bytes]
) -> None:
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(sample, small_server)
        wait_for(lambda: small_server.metric("diptych_slow_requests") == 1)
        os.kill(small_server.worker(), signal.SIGKILL)
        small_server.wait_until(ready=False, seconds=2)
        reply = waiting.result()
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    assert reply.json["error"]["code"] == "unavailable"
    assert small_server.request("/health/live").status == 200
    small_server.wait_until(ready=True)
    assert small_server.request("/models/colours/predict", pictures[0]).status == 200
    assert small_server.metric("diptych_worker_restarts") == 1


def test_sigterm_answers_what_was_accepted(small_server: ServerProcess) -> None:
    worker = small_server.worker()
    with ThreadPoolExecutor(3) as clients:
        accepted = [clients.submit(sample, small_server) for _ in range(3)]
        wait_for(lambda: small_server.metric("diptych_slow_requests") == 3)
        out, notes = small_server.stop()
        replies = [request.result() for request in accepted]
    assert [reply.status for reply in replies] == [200] * 3
    assert [len(reply.json["pictures"]) for reply in replies] == [256] * 3
    assert small_server.process.returncode == 128 + signal.SIGTERM
    assert f"http://127.0.0.1:{small_server.port}" in out
    assert "Traceback" not in notes
    assert "everything that it had accepted is answered" in notes
    assert "Error" not in notes
    assert not Path(f"/proc/{worker}").exists()


def test_a_taken_port_is_named_and_the_next_free_one_offered(server: ServerProcess, home: Path) -> None:
    command = [sys.executable, "-m", "diptych", "serve", str(home), "--port", str(server.port)]
    taken = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert taken.returncode == 2
    assert f"Port {server.port} is in use. The next free one: --port " in taken.stderr
