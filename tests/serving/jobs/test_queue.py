"""Jobs over HTTP: real runs, followed, cancelled, resumed, and known again after the server was killed."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving.outer_client import serving, wait_until

PATIENCE = 600.0  # seconds, for a machine with much else to do; each of these takes some
LONG = {"kind": "recognizer", "data": "pets", "output": "long", "network": "convnet", "size": 8, "epochs": 5_000}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    for label, low in (("cat", 0), ("dog", 128)):
        (home / "data" / "pets" / label).mkdir(parents=True)
        for i in range(20):
            pixels = random.integers(low, low + 128, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(home / "data" / "pets" / label / f"{i}.png")
    return home


@pytest.fixture(scope="module")
def server(home):
    with serving(home) as running:
        yield running


def start(server, verb: str, options: dict) -> str:
    answer = server.post("/jobs", {"verb": verb, "options": options})
    assert answer.status == 202, answer.body
    return answer.json()["id"]


def job(server, job_id: str) -> dict:
    return server.get(f"/jobs/{job_id}").json()


def wait_for(server, job_id: str, state: str) -> dict:
    wait_until(lambda: job(server, job_id)["state"] == state, PATIENCE)
    return job(server, job_id)


def events(server, job_id: str, after: int = 0) -> list[tuple[int, str, dict | str]]:
    """The events of a job that has ended, from its stream."""
    answer = server.get(f"/jobs/{job_id}/events", Last_Event_ID=str(after))
    if answer.status == 204:
        return []
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [parse(block) for block in answer.body.decode().split("\n\n") if block and not block.startswith(":")]


def parse(block: str) -> tuple[int, str, dict | str]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return int(fields["id"]), fields["event"], json.loads(fields["data"])


def stored_ticks(home, job_id: str) -> list[dict]:
    lines = (home / ".jobs" / job_id / "events.jsonl").read_text().splitlines()
    return [record["data"] for record in map(json.loads, lines) if record["event"] == "tick"]


def test_a_fit_is_followed_to_its_end_and_its_stream_resumed(server, home):
    job_id = start(server, "fit", {**LONG, "output": "short", "epochs": 2})
    wait_for(server, job_id, "running")
    everything = events(server, job_id)  # the stream ends with the job
    states = [data["state"] for _, kind, data in everything if kind == "state"]
    assert states == ["waiting", "running", "done"]
    ticks = [data for _, kind, data in everything if kind == "tick"]
    assert (
        ticks[-1]["seen_pictures"]
        == json.loads((home / "short/history.jsonl").read_text().splitlines()[-1])["seen_pictures"]
    )
    middle = len(everything) // 2
    assert events(server, job_id, everything[middle][0]) == everything[middle + 1 :]
    assert events(server, job_id, everything[-1][0]) == []
    assert events(server, job_id, 10**12) == everything
    assert events(server, job_id, everything[0][0] - 1) == everything
    done = job(server, job_id)
    assert (done["state"], done["exit_code"], done["result"]["folder"]) == ("done", 0, "short")
    assert "process" not in done
    assert server.post(f"/jobs/{job_id}/resume").status == 409
    assert server.post(f"/jobs/{job_id}/cancel").status == 409


def test_an_inspection_leaves_a_report_and_a_manifest_to_fetch(server):
    job_id = start(server, "inspect", {"data": "pets"})
    done = wait_for(server, job_id, "done")
    assert done["files"] == ["report.html", "manifest.csv", "log.txt"]
    report = server.get(f"/jobs/{job_id}/files/report.html")
    assert report.body.startswith(b"<!DOCTYPE html>") or b"<html" in report.body[:200]
    assert "sandbox" in report.headers["content-security-policy"]
    assert server.get(f"/jobs/{job_id}/files/manifest.csv").body.count(b".png") == 40
    for name in ("job.json", "lock", "..%2fjob.json", "%2e%2e", "events.jsonl"):
        assert server.get(f"/jobs/{job_id}/files/{name}").status == 404


def test_a_job_that_fails_says_why(server, home):
    (home / "data" / "empty").mkdir(exist_ok=True)
    job_id = start(server, "fit", {**LONG, "data": "empty", "output": "nothing"})
    failed = wait_for(server, job_id, "failed")
    assert failed["exit_code"] == 3
    assert "data/empty" in failed["message"]
    assert str(home) not in failed["message"]


def test_requests_for_other_things_are_refused(server, home):
    for body, status in (
        ({"verb": "serve"}, 422),
        ({"verb": "fit", "options": {**LONG, "output": "../x"}}, 422),
        ({"verb": "fit", "options": {**LONG, "data": "absent"}}, 404),
        ({"verb": "fit", "options": {**LONG, "config": "/etc/passwd"}}, 422),
        ({"verb": "fit", "options": {"data": {"a": 1}}}, 422),
        ({}, 422),
        ({"verb": "fit", "options": {**LONG, "seed": 10**400}}, 422),
        ({"verb": "fit", "options": {**LONG, "seed": -1}}, 422),
        ({"verb": "fit", "options": {**LONG, "minutes": float("inf")}}, 422),
        ({"verb": "fit", "options": {**LONG, "kind": ["gan"]}}, 422),
        ({"verb": "fit", "options": {"\ud800": "\ud800"}}, 422),
        ({"verb": "\ud800"}, 422),
    ):
        assert server.post("/jobs", body).status == status, body
    for path in ("/jobs/absent", "/jobs/..", "/jobs/%2e%2e%2fdata", "/jobs/absent/events"):
        assert server.get(path).status == 404
    assert server.get("/jobs/absent/events", Last_Event_ID="x").status == 422


def test_a_long_fit_is_cancelled_resumed_killed_with_its_server_and_resumed_again(tmp_path_factory, home):
    own_home = tmp_path_factory.mktemp("long")
    (own_home / "data").mkdir()
    (own_home / "data" / "pets").symlink_to(home / "data" / "pets")
    with serving(own_home) as server:
        job_id, next_id = start(server, "fit", LONG), start(server, "inspect", {"data": "pets"})
        wait_until(lambda: stored_ticks(own_home, job_id), PATIENCE)
        assert [entry["state"] for entry in server.get("/jobs").json()["jobs"]] == ["waiting", "running"]
        assert server.post(f"/jobs/{next_id}/cancel").json()["state"] == "cancelled"
        server.post(f"/jobs/{job_id}/cancel")
        assert wait_for(server, job_id, "cancelled")["exit_code"] == 143
        assert (own_home / "long" / "checkpoint").is_dir()
        before = stored_ticks(own_home, job_id)

        assert server.post(f"/jobs/{job_id}/resume").json()["state"] == "waiting"
        wait_until(lambda: len(stored_ticks(own_home, job_id)) > len(before), PATIENCE)
        after = [tick["seen_pictures"] for tick in stored_ticks(own_home, job_id)]
        assert after == sorted(set(after))  # it went on, and told nothing twice

        process = json.loads((own_home / ".jobs" / job_id / "job.json").read_text())["process"]
        server.stop(signal.SIGKILL)
    assert is_running(process)
    with serving(own_home) as server:
        stopped = wait_for(server, job_id, "stopped")
        assert "Resume it" in stopped["message"]
        wait_until(lambda: not is_running(process))
        server.post(f"/jobs/{job_id}/resume")
        wait_for(server, job_id, "running")
        stream = server.connect()
        stream.sendall(f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert stream.recv(20).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        server.stop()  # ends the stream and the job
        assert time.monotonic() - started < PATIENCE
        stream.close()
    assert json.loads((own_home / ".jobs" / job_id / "job.json").read_text())["state"] == "stopped"


def is_running(process: int) -> bool:
    """Whether a process works; one that has ended and that nobody has asked for its exit code (Z) does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_the_web_process_holds_no_torch(server):
    assert "torch" not in Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")
