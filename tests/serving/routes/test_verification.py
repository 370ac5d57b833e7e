"""``POST /verify`` and ``GET /models/NAME/verify``: no torch, no worker is needed."""

import pytest
import torch
from fastapi.testclient import TestClient

from diptych import artefact
from diptych.marks import mark
from diptych.serving.app import create_app
from diptych.serving.settings import ServerSettings
from diptych.signing.verify import sign
from tests.marked import FACTS, encoded


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    for name in ("signed", "changed", "unsigned"):
        artefact.write(home / name, {"kind": "recognizer"}, {"weight": torch.zeros(3)}, card="A card")
    for name in ("signed", "changed"):
        sign(home / name)
    (home / "changed" / "README.md").write_text("Another card")
    app = create_app(home, ServerSettings())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def verified(client, content, path="cat.png", kind="image/png"):
    return client.post("/verify", params={"path": path}, content=content, headers={"Content-Type": kind})


def test_a_picture_is_told_as_the_command_line_tells_it(client):
    marked = mark(encoded("PNG"), FACTS)
    row = verified(client, marked).json()
    assert (row["path"], row["state"], row["signer"]["trust"]) == ("cat.png", "untouched", "own")
    assert (row["generated"], row["model"], row["weights_sha256"]) == ("synthetic", "flow pets", "ab" * 32)
    changed = marked[:-30] + bytes([marked[-30] ^ 1]) + marked[-29:]
    assert verified(client, changed).json()["state"] == "changed"
    assert verified(client, encoded("JPEG"), kind="image/jpeg").json()["state"] == "unmarked"


def test_what_is_no_picture_is_refused_as_predict_refuses_it(client):
    answer = verified(client, b"hello", "note.txt", "application/octet-stream")
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unreadable_picture"
    assert answer.json()["error"]["message"].startswith("The picture cannot be read: not a picture")
    assert verified(client, encoded("PNG")).status_code == 200  # and the next one is read


def test_a_model_is_told_by_its_name_alone(client):
    rows = {name: client.get(f"/models/{name}/verify").json() for name in ("signed", "changed", "unsigned")}
    assert {name: row["state"] for name, row in rows.items()} == {
        "signed": "untouched",
        "changed": "changed",
        "unsigned": "unsigned",
    }
    assert rows["changed"]["changes"] == ["README.md was changed"]
    assert rows["signed"]["path"] == "signed"
    assert client.get("/models/nothing/verify").status_code == 404
