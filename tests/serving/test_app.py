"""The parts of the server together: the page, data sets, jobs, limits and the token, in one process."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.serving.conftest import ServerProcess, pixels, png


def test_pictures_are_uploaded_and_a_recognizer_is_trained_on_them(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    try:
        assert b"<html" in server.request("/").body
        assert server.post_json("/datasets", {"name": "colours"}).status == 201
        for label, turn in (("red", 1), ("blue", -1)):
            for i, picture in enumerate(pixels(7)[:8]):
                path = f"/datasets/colours/pictures/{label}/{i}.png"
                assert server.request(path, png(picture[..., ::turn]), method="PUT").status == 201
        options = {"kind": "recognizer", "data": "colours", "output": "new", "network": "convnet", "epochs": 2}
        job = server.post_json("/jobs", {"verb": "fit", "options": options}).json
        until = time.monotonic() + 120
        while (state := server.request(f"/jobs/{job['id']}").json["state"]) not in ("done", "failed"):
            assert time.monotonic() < until
            time.sleep(0.2)
        assert state == "done"
        assert server.request("/models/new/predict", png(pixels(8)[0])).json["label"] in ("red", "blue")
    finally:
        server.stop()


def test_a_server_for_other_machines_asks_for_the_token_that_it_printed(home: Path) -> None:
    server = ServerProcess(home, "--host", "0.0.0.0", "--token", "secret")
    try:
        assert server.request("/models").status == 401
        assert server.request("/").status == 200
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/models", headers={"Authorization": "Bearer secret"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert {model["name"] for model in json.load(answer)["models"]} == {"colours", "colours-vae"}
    finally:
        server.stop()


@pytest.mark.parametrize("header", ["Host: evil.example", "Origin: http://evil.example"])
def test_pages_of_other_sites_are_refused(server: ServerProcess, header: str) -> None:
    name, value = header.split(": ")
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/models", headers={name: value})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403
    refused.value.close()
