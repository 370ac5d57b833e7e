"""The server's answers are those of the library; bad input gets a message, never a traceback."""

import io
import json
import tarfile
import zipfile
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych.recognition.recognizer import Recognizer
from diptych.synthesis.vae import VAE
from tests.serving.conftest import ServerProcess, png


@pytest.fixture(scope="session")
def recognizer(home: Path) -> Recognizer:
    return diptych.load(home / "colours")


@pytest.fixture(scope="session")
def vae(home: Path) -> VAE:
    return diptych.load(home / "colours-vae")


def in_base64(content: bytes) -> str:
    return b64encode(content).decode()


def decoded(picture: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(picture["data"]))))


def test_many_clients_get_the_predictions_of_the_library(
    server: ServerProcess, recognizer: Recognizer, pictures: list[bytes]
) -> None:
    with ThreadPoolExecutor(12) as clients:
        replies = list(clients.map(lambda picture: server.request("/models/colours/predict?path=p", picture), pictures))
    expected = [{**row, "path": "p"} for row in recognizer.predict(pictures).json_rows()]
    assert [reply.status for reply in replies] == [200] * len(pictures)
    for reply, row in zip(replies, expected, strict=True):
        assert reply.json["probabilities"] == pytest.approx(row.pop("probabilities"), abs=1e-3)
        assert reply.json["confidence"] == pytest.approx(row.pop("confidence"), abs=1e-3)
        assert row.items() <= reply.json.items()
    assert {reply.json["label"] for reply in replies} == {"red", "blue"}


def test_embeddings_are_those_of_the_library(
    server: ServerProcess, recognizer: Recognizer, pictures: list[bytes]
) -> None:
    reply = server.request("/models/colours/embed", pictures[0]).json
    assert reply["embedding"] == pytest.approx(recognizer.embed(pictures[:1])[0].tolist(), abs=1e-6)


def archive(kind: str, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind == "application/zip":
        with zipfile.ZipFile(out, "w") as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
    else:
        with tarfile.open(fileobj=out, mode="w") as tarred:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tarred.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["application/zip", "application/x-tar", "application/json"])
def test_several_pictures_are_answered_in_their_order_and_a_broken_one_says_why(
    server: ServerProcess, recognizer: Recognizer, pictures: list[bytes], kind: str
) -> None:
    files = {"a.png": pictures[0], "b.png": b"no picture", "sub/c.png": pictures[1]}
    rows = [{"name": name, "data": in_base64(content)} for name, content in files.items()]
    body = json.dumps({"pictures": rows}).encode() if kind == "application/json" else archive(kind, files)
    first, broken, last = server.request("/models/colours/predict", body, kind).json["rows"]
    assert (first["path"], last["path"]) == ("a.png", "sub/c.png")
    assert [first["label"], last["label"]] == recognizer.predict([pictures[0], pictures[1]]).names
    assert broken == {"path": "b.png", "error": "not a picture, or not of a kind that can be read"}


def test_an_explanation_has_the_heatmap_of_the_library(
    server: ServerProcess, recognizer: Recognizer, pictures: list[bytes]
) -> None:
    reply = server.request("/models/colours/explain?label=blue", pictures[0]).json
    heatmap = np.asarray(Image.open(io.BytesIO(b64decode(reply["heatmap"]))))
    expected = (recognizer.explain(pictures[:1], "blue")[0].numpy() * 255).round()
    assert np.abs(heatmap.astype(int) - expected).max() <= 1
    assert reply["explained"] == "blue"
    assert len(reply["neighbours"]) == 3


def test_samples_are_those_of_the_library(server: ServerProcess, vae: VAE) -> None:
    reply = server.post_json("/models/colours-vae/sample", {"number": 2, "label": "red", "seed": 5}).json
    expected = vae.sample(2, label="red", seed=5)
    for i, picture in enumerate(reply["pictures"]):
        assert (picture["label"], picture["origin"]) == ("red", "synthetic")
        assert (decoded(picture) == expected.picture(i)).all()


def test_the_samples_of_a_training_are_shown(server: ServerProcess, home: Path) -> None:
    place = "/models/colours-vae/samples"
    moments = server.request(place).json["samples"]
    assert moments
    grid = (home / "colours-vae" / "samples" / f"{moments[-1]:09d}.png").read_bytes()
    assert server.request(f"{place}/{moments[-1]}").body == grid
    assert server.request(f"{place}/{moments[-1] + 1}").status == 404
    assert server.request("/models/colours-vae/report").body == (home / "colours-vae" / "report.html").read_bytes()
    assert server.request("/models/absent/report").status == 404


@pytest.mark.parametrize(
    ("operation", "arguments", "count", "origin"),
    [
        ("reconstruct", {}, 2, "synthetic"),
        ("interpolate", {"steps": 3}, 3, "synthetic"),
        ("traverse", {"directions": 1, "steps": 3}, 6, "synthetic"),
        ("blend", {"mask": True}, 1, "composite"),
        ("restyle", {"label": "blue", "own": "red"}, 2, "synthetic"),
    ],
)
def test_every_edit_answers(
    server: ServerProcess, pictures: list[bytes], operation: str, arguments: dict[str, Any], count: int, origin: str
) -> None:
    if "mask" in arguments:
        mask = np.zeros((16, 16), np.uint8)
        mask[:, 8:] = 255
        arguments = {**arguments, "mask": in_base64(png(mask))}
    label = {} if operation == "restyle" else {"label": "red"}
    body = {"pictures": [in_base64(picture) for picture in pictures[:2]], **label, **arguments}
    reply = server.post_json(f"/models/colours-vae/edit/{operation}", body)
    assert reply.status == 200, reply.body
    assert len(reply.json["pictures"]) == count
    assert {picture["origin"] for picture in reply.json["pictures"]} == {origin}
    assert decoded(reply.json["pictures"][0]).shape == (16, 16, 3)


def test_models_are_listed_with_their_facts(server: ServerProcess) -> None:
    models = server.request("/models").json["models"]
    assert [(model["name"], model["kind"]) for model in models] == [("colours", "recognizer"), ("colours-vae", "vae")]
    assert models[0]["classes"] == ["blue", "red"]
    assert server.request("/models/colours").json["scores"]["accuracy"]["n"] > 0


BAD_REQUESTS: list[tuple[str, Any, str, int, str]] = [
    ("/models/colours/predict", b"no picture", "image/png", 415, "unreadable_picture"),
    ("/models/colours/predict", b"", "image/png", 415, "unreadable_picture"),
    ("/models/colours/predict", b"\x89PNG\r\n\x1a\n" + bytes(40), "image/png", 400, "unreadable_picture"),
    ("/models/colours/explain?label=green", None, "image/png", 422, "bad_request"),
    ("/models/colours/predict", b"{", "application/json", 422, "bad_request"),
    ("/models/colours/predict", b'{"pictures": [3]}', "application/json", 422, "bad_request"),
    ("/models/colours/predict", b'{"pictures": []}', "application/json", 422, "bad_request"),
    ("/models/colours/predict", b"PK\x03\x04 cut", "application/zip", 400, "bad_data"),
    ("/models/colours/predict", b"no tar at all", "application/x-tar", 400, "bad_data"),
    ("/models/colours-vae/predict", None, "image/png", 422, "bad_request"),
    ("/models/colours/sample", b"{}", "application/json", 422, "bad_request"),
    ("/models/colours-vae/sample", b'{"number": 0}', "application/json", 422, "bad_request"),
    ("/models/colours-vae/sample", b'{"numbers": 1}', "application/json", 422, "bad_request"),
    ("/models/colours-vae/sample", b'{"label": "green"}', "application/json", 422, "bad_request"),
    ("/models/colours-vae/sample", b'{"steps": 4}', "application/json", 422, "bad_request"),
    ("/models/colours-vae/sample", b'{"guidance": 3}', "application/json", 422, "bad_request"),
    ("/models/colours-vae/edit/paint", b"{}", "application/json", 422, "bad_request"),
    ("/models/colours-vae/edit/reconstruct", b'{"pictures": ["aaaa"]}', "application/json", 400, "bad_data"),
    ("/models/colours-vae/edit/reconstruct", b'{"pictures": ["a"], "seed": 1}', "application/json", 422, "bad_request"),
    ("/models/colours-vae/edit/inpaint", None, "application/json", 422, "bad_request"),
    ("/models/colours-vae/edit/restyle", None, "application/json", 422, "bad_request"),
    ("/models/nope/predict", None, "image/png", 404, "not_found"),
    ("/models/notes/predict", None, "image/png", 404, "not_found"),
    ("/models/..%2f..%2fetc/predict", None, "image/png", 404, "not_found"),
    ("/models/%2e%2e/predict", None, "image/png", 404, "not_found"),
    ("/models/%00/predict", None, "image/png", 404, "not_found"),
    (f"/models/{'long' * 100}/predict", None, "image/png", 404, "not_found"),
    ("/models/%ed%a0%80/predict", None, "image/png", 404, "not_found"),
    ("/nothing", None, "image/png", 404, "not_found"),
    ("/health/live", None, "image/png", 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("path", "body", "kind", "status", "code"), BAD_REQUESTS)
def test_a_bad_request_gets_its_status_and_a_message(
    server: ServerProcess, pictures: list[bytes], path: str, body: bytes | None, kind: str, status: int, code: str
) -> None:
    picture = json.dumps({"pictures": [in_base64(pictures[0])]}).encode() if "json" in kind else pictures[0]
    reply = server.request(path, picture if body is None else body, kind)
    assert (reply.status, reply.json["error"]["code"]) == (status, code), reply.body
    assert len(reply.json["error"]["message"]) > 8
    assert "Traceback" not in reply.json["error"]["message"]


def test_a_name_that_is_no_unicode_harms_nobody(server: ServerProcess, pictures: list[bytes]) -> None:
    body = {"pictures": [{"name": "\ud800.png", "data": in_base64(pictures[0])}]}
    refused = server.post_json("/models/colours/predict", body)
    assert refused.status == 422
    assert "half of a surrogate pair" in refused.json["error"]["message"]


def test_the_interface_is_described_with_examples(server: ServerProcess) -> None:
    paths = server.request("/openapi.json").json["paths"]
    assert {"/models", "/models/{name}/predict", "/models/{name}/sample", "/health/ready"} <= paths.keys()
    for verb in ("predict", "embed", "explain", "sample", "edit/{operation}"):
        described = paths[f"/models/{{name}}/{verb}"]["post"]
        assert described["responses"]["200"]["content"]["application/json"]["example"]
        assert described["requestBody"]["content"]
    for path, methods in paths.items():
        for method, described in methods.items():
            answers = [answer for status, answer in described["responses"].items() if status.startswith("2")]
            contents = [described.get("requestBody", {}).get("content", {}), *(a.get("content", {}) for a in answers)]
            examples = [content["application/json"] for content in contents if "application/json" in content]
            assert all("example" in {**part, **part.get("schema", {})} for part in examples), (method, path)


def test_the_description_is_a_page_that_asks_nothing_of_other_hosts(server: ServerProcess) -> None:
    page = server.request("/docs").body.decode()
    assert "POST /models/{name}/predict" in page
    assert "&quot;label&quot;: &quot;cat&quot;" in page
    assert "<script" not in page
    assert "//" not in page


def test_metrics_count_requests_and_batches(server: ServerProcess, pictures: list[bytes]) -> None:
    before = server.metric("diptych_batch_pictures_count")
    server.request("/models/colours/predict", pictures[0])
    assert server.metric("diptych_batch_pictures_count") == before + 1
    assert (
        'diptych_requests_total{method="POST",route="/models/{name}/predict",status="200"}'
        in server.request("/metrics").body.decode()
    )
    assert server.metric("diptych_body_bytes") == 0
