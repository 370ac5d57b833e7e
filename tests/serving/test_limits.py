"""Requests that a server refuses, sent to a real one."""

import time

import pytest

from tests.serving.outer_client import read_answer, serving

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = {"max_bytes": 2_000_000, "body_seconds": 2.0, "client_requests": 4, "hosts": ["pictures.lan"]}
    with serving(tmp_path_factory.mktemp("limits"), header_seconds=60.0, **options) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("guarded"), token=TOKEN) as running:
        yield running


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "[::1]:8000", "Pictures.LAN", "192.168.1.7:8000"])
def test_addresses_and_named_hosts_are_answered(server, host):
    assert server.get("/health/live", Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a@localhost", "localhost/", "", "l:x"]
)
def test_a_page_whose_name_was_pointed_here_is_refused(server, host):
    answer = server.get("/datasets", Host=host)
    assert (answer.status, answer.code) == (403, "foreign_host")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"])
def test_a_page_of_another_site_cannot_post(server, origin):
    answer = server.post("/datasets", {"name": "stolen"}, Origin=origin, Host=f"127.0.0.1:{server.port}")
    assert (answer.status, answer.code) == (403, "foreign_origin")
    assert "stolen" not in server.get("/datasets").body.decode()


def test_the_own_page_can_post(server):
    host = f"127.0.0.1:{server.port}"
    answer = server.post("/datasets", {"name": "own"}, Origin=f"http://{host}", Host=host, Sec_Fetch_Site="same-origin")
    assert answer.status == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_may_follow_a_link_here_but_embed_nothing(server, site):
    assert server.get("/health/live", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 200
    assert server.get("/datasets", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403
    assert server.post("/datasets", {"name": "x"}, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", None]
)
def test_bodies_of_other_types_are_refused(server, kind):
    answer = server.ask("POST", "/datasets", b'{"name": "x"}', {"Content-Type": kind} if kind else {})
    assert (answer.status, answer.code) == (415, "unsupported_content_type")


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"]
)
def test_without_the_token_nothing_is_answered_but_whether_the_server_lives(guarded, header):
    headers = {"Authorization": header} if header else {}
    answer = guarded.get("/datasets", **headers)
    assert (answer.status, answer.code, answer.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    assert guarded.get("/health/live").status == 200
    assert guarded.get("/health/live/../../datasets").status != 200


def test_with_the_token_everything_is_answered(guarded):
    assert guarded.get("/datasets", Authorization=f"bearer {TOKEN}").status == 200


def test_a_stated_length_over_the_limit_is_refused_before_the_body_is_sent(server):
    with server.connect() as client:
        client.sendall(b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
        client.sendall(b"Content-Length: 300000000\r\nExpect: 100-continue\r\n\r\n")
        assert read_answer(client).status == 413


@pytest.mark.parametrize("chunked", [False, True])
def test_300_megabytes_are_refused_and_take_no_memory(server, chunked):
    before, part = server.memory(), bytes(1_000_000)
    with server.connect() as client:
        client.sendall(b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
        if chunked:
            client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
            part = b"f4240\r\n" + part + b"\r\n"
        else:
            client.sendall(b"Content-Length: 300000000\r\n\r\n")
        most = before
        for sent in range(300):
            client.sendall(part)
            if sent % 30 == 0:
                most = max(most, server.memory())
        assert read_answer(client).status == 413
    assert most - before < 10_000_000


def test_what_fits_is_counted_exactly(server):
    answer = server.ask("POST", "/count", bytes(2_000_000), {"Content-Type": "image/png"})
    assert (answer.status, answer.json()) == (200, 2_000_000)


def test_a_body_that_drips_is_given_up(server):
    with server.connect() as client:
        head = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\n"
        client.sendall(head)
        started = time.monotonic()
        for _ in range(3):
            client.sendall(b"x")
            time.sleep(0.25)
        assert read_answer(client).status == 408
        assert time.monotonic() - started < 5


def test_one_client_cannot_have_everything_in_flight(server):
    head = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\n"
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        client.sendall(head)
    time.sleep(0.2)
    answer = server.get("/datasets")
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "too_many_requests", "1")
    for client in clients:
        client.sendall(b"x")
        assert read_answer(client).status == 200
        client.close()
    assert server.get("/datasets").status == 200
