"""Slow and wasteful connections to a real server."""

import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.serving.outer_client import read_answer, serving

HEAD = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("slow"), header_seconds=1.0, client_connections=50) as running:
        yield running


def is_closed(client) -> bool:
    """Whether the server has ended the connection, with what it still sent read."""
    with suppress(ConnectionError):
        while client.recv(65536):
            pass
    return True


def test_while_400_clients_send_headers_a_byte_at_a_time_a_quick_one_is_answered_within_a_second(server):
    stop, seconds = threading.Event(), []
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(400)]
        thread = threading.Thread(target=drip, args=(server, slow, stop))
        thread.start()
        try:
            for _ in range(10):
                started = time.monotonic()
                assert server.get("/health/live").status == 200
                seconds.append(time.monotonic() - started)
        finally:
            stop.set()
            thread.join()
    assert max(seconds) < 1.0


def drip(server, clients: list, stop: threading.Event) -> None:
    """Send the headers a byte at a time, again from the start on a new connection wherever the server ends one."""
    sent = [0] * len(clients)
    while not stop.wait(0.1):
        for i, client in enumerate(clients):
            try:
                client.sendall(HEAD[sent[i] : sent[i] + 1])
                sent[i] = min(sent[i] + 1, len(HEAD) - 5)
            except ConnectionError:
                client.close()
                clients[i], sent[i] = server.connect(), 0
    for client in clients:
        client.close()


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHos"])
def test_headers_that_are_not_in_within_the_deadline_close_the_connection(server, start):
    with server.connect() as client:
        started = time.monotonic()
        client.sendall(start)
        assert is_closed(client)
        assert 0.5 < time.monotonic() - started < 4


def test_the_deadline_counts_again_for_the_next_request_of_a_connection(server):
    with server.connect() as client:
        for _ in range(3):
            client.sendall(GET)
            assert read_answer(client).status == 200
            time.sleep(0.6)  # together longer than the deadline
        started = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\nHos")
        assert is_closed(client)
        assert 0.5 < time.monotonic() - started < 4


def test_a_request_that_is_being_answered_has_no_deadline_for_headers(server):
    with server.connect() as client:
        client.sendall(HEAD)
        for _ in range(4):
            client.sendall(b"64\r\n" + bytes(100) + b"\r\n")
            time.sleep(0.4)
        client.sendall(b"0\r\n\r\n")
        assert read_answer(client).json() == 400


def test_the_oldest_waiting_connection_makes_room_and_a_busy_one_does_not(server):
    with ExitStack() as stack:
        busy = stack.enter_context(server.connect())
        busy.sendall(HEAD)
        time.sleep(0.1)
        idle = [stack.enter_context(server.connect()) for _ in range(49)]
        time.sleep(0.4)
        idle.append(stack.enter_context(server.connect()))
        assert is_closed(idle[0])
        idle[-1].sendall(GET)
        assert read_answer(idle[-1]).status == 200
        busy.sendall(b"0\r\n\r\n")
        assert read_answer(busy).json() == 0


def test_3_megabytes_in_chunks_of_6_bytes_are_refused_at_once_and_hold_nobody_up(server):
    started = time.monotonic()
    with server.connect() as client:
        with suppress(ConnectionError):  # the server does not wait for all of it
            client.sendall(HEAD + b"6\r\nabcdef\r\n" * 500_000 + b"0\r\n\r\n")
        assert server.get("/health/live").status == 200
    assert time.monotonic() - started < 5


def test_3_megabytes_in_chunks_of_200_bytes_are_taken(server):
    with server.connect() as client:
        client.sendall(HEAD + (b"c8\r\n" + bytes(200) + b"\r\n") * 15_000 + b"0\r\n\r\n")
        assert read_answer(client).json() == 3_000_000


def test_endless_headers_are_refused(server):
    with server.connect() as client, suppress(ConnectionError):
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 5_000_000)
        assert read_answer(client).status == 400
    assert server.get("/health/live").status == 200


def test_an_address_that_is_too_long_is_answered_though_more_is_on_its_way(server):
    with server.connect() as client:
        client.sendall(b"GET /" + b"x" * 500_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = read_answer(client)
        assert (answer.status, answer.code) == (400, "invalid_http")
        assert is_closed(client)


def test_what_goes_on_after_a_refusal_is_not_read_for_ever(server):
    with server.connect() as client:
        client.sendall(b"no HTTP\r\n\r\n")
        with pytest.raises(ConnectionError):
            client.sendall(bytes(200_000_000))
