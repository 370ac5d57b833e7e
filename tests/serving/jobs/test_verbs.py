"""Each verb that a job may run, besides fit and inspect, at work on a real server: what it leaves can be fetched."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.synthesis.vae import VAE
from tests.serving.conftest import ServerProcess, pixels, png

PATIENCE = 600.0  # seconds, for a machine with much else to do


@pytest.fixture(scope="module")
def server(home: Path, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One with a recognizer and its export, two data sets of 12 red and 12 blue pictures, and a run left half-way."""
    folder = tmp_path_factory.mktemp("verbs")
    server.wait_for_exports()
    for name in ("colours", ".exports"):
        shutil.copytree(home / name, folder / name)
    for name, seed in (("photos", 4), ("others", 6)):
        red, blue = pixels(seed), pixels(seed + 1)[..., ::-1]
        Images.from_arrays(np.concatenate([red, blue]), ["red"] * 12 + ["blue"] * 12).save(folder / "data" / name)
    red, blue = (np.concatenate([pixels(seed) for seed in seeds]) for seeds in ((11, 12, 13), (14, 15)))
    uneven = Images.from_arrays(np.concatenate([red, blue[..., ::-1]]), ["red"] * len(red) + ["blue"] * len(blue))
    uneven.save(folder / "data" / "uneven")
    VAE(epochs=20).fit(Images.open(folder / "data" / "uneven"), into=folder / "vae")  # an audit knows these files again
    (folder / "half-way").mkdir()
    (folder / "half-way" / "history.jsonl").write_text('{"seen_pictures": 640}\n', encoding="utf-8")
    server = ServerProcess(folder)
    yield server
    server.stop()


def run(server: ServerProcess, verb: str, **options: Any) -> dict[str, Any]:
    """The job when it is done."""
    job = server.post_json("/jobs", {"verb": verb, "options": options}).json
    until = time.monotonic() + PATIENCE
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < until
        time.sleep(0.1)
        job = server.request(f"/jobs/{job['id']}").json
    assert job["state"] == "done", job
    return job


def test_a_gallery_is_enrolled_evaluated_and_mapped(server: ServerProcess) -> None:
    assert server.request("/models/things/map").status == 404
    enrolled = run(server, "enroll", data="photos", output="things", model="colours")
    assert enrolled["result"]["labels"] == {"blue": 12, "red": 12}
    assert run(server, "evaluate", model="things", data="others")["result"]["accuracy"]["n"] == 24

    match = server.request("/models/things/match?k=3", png(pixels(8)[0])).json
    assert match["label"] == "red"
    nearest = match["nearest"][0]["id"]
    thumbnail = server.request(f"/models/things/thumbnails/{nearest}")
    assert thumbnail.headers["Content-Type"] == "image/jpeg"
    assert thumbnail.body.startswith(b"\xff\xd8")
    assert server.request(f"/models/things/thumbnails/{'0' * 16}").status == 404
    assert server.request("/models/things/thumbnails/x").status == 422

    assert run(server, "map", model="things")["files"] == ["map.json", "log.txt"]
    laid_out = server.request("/models/things/map").json
    assert laid_out["pictures"] == 24
    assert nearest in laid_out["id"]
    assert all("/" not in path for path in laid_out["path"])
    assert_apart(laid_out)


def test_data_sets_are_mapped_by_a_model(server: ServerProcess) -> None:
    assert server.request("/datasets/photos/map?model=colours").status == 404
    run(server, "map", data="photos", model="colours")
    laid_out = server.request("/datasets/photos/map?model=colours").json
    assert_apart(laid_out)
    picture = f"{laid_out['data'][0]}/thumbnails/{laid_out['path'][0]}"
    assert server.request(f"/datasets/{picture}").status == 200
    assert server.request("/datasets/photos/map").status == 404  # by the built-in backbone there is none
    assert server.request("/datasets/absent/map").status == 404


def test_pictures_are_scored_and_a_model_evaluated_and_exported(server: ServerProcess) -> None:
    scored = run(server, "score", generated="others", against="photos", judge="colours")
    assert scored["result"]["kernel_distance"]["n"] == 24
    assert scored["files"] == ["report.html", "log.txt"]
    assert run(server, "evaluate", model="colours", data="photos")["result"]["accuracy"]["value"] > 0.9
    exported = run(server, "export", model="colours")
    assert "model.onnx" in exported["files"]
    assert len(server.request(f"/jobs/{exported['id']}/files/model.onnx").body) > 1000


def test_a_data_set_is_balanced_into_a_new_one(server: ServerProcess) -> None:
    options = {"data": "uneven", "model": "vae", "output": "fuller", "per_class": 30}
    balanced = run(server, "balance", **options)
    assert balanced["files"] == ["report.html", "log.txt"]
    assert balanced["result"]["folder"] == "data/fuller"
    blue = next(row for row in balanced["result"]["classes"] if row["class"] == "blue")
    assert (blue["real"], blue["added"] + blue["still missing"]) == (24, 6)
    sets = {row["name"]: row for row in server.request("/datasets").json["datasets"]}
    assert sets["fuller"]["pictures"] == 60 + blue["added"]
    assert b"scarce class" in server.request(f"/jobs/{balanced['id']}/files/report.html").body
    taken = server.post_json("/jobs", {"verb": "balance", "options": {**options, "output": "../fuller"}})
    assert taken.status == 422


def test_whether_a_synthesizer_helps_is_judged_and_the_page_can_be_fetched(server: ServerProcess, home: Path) -> None:
    folder = server.home
    shutil.copytree(home / "colours-vae", folder / "colours-vae")
    for name, count, seed in (("large", 30, 8), ("large-test", 12, 9)):  # from 48 px on, on frozen features: short
        noise = np.random.default_rng(seed).integers(0, 90, (2 * count, 48, 48, 3)).astype(np.uint8)
        noise[:count, ..., 0] += 150
        noise[count:, ..., 2] += 150
        Images.from_arrays(noise, ["red"] * count + ["blue"] * count).save(folder / "data" / name)
    judged = run(server, "verdict", data="large", model="colours-vae", test="large-test")
    assert judged["result"]["verdict"] in ("recommended", "not_recommended")
    assert judged["files"] == ["report.html", "verdict.json", "log.txt"]
    page = server.request(f"/jobs/{judged['id']}/files/report.html").body.decode()
    assert "synthetic pictures" in page
    figures = server.request(f"/jobs/{judged['id']}/files/verdict.json").json
    assert figures["gain"] == judged["result"]["gain"]


def test_trainings_that_are_not_finished_are_listed_with_their_state(server: ServerProcess) -> None:
    options = {"kind": "recognizer", "data": "photos", "output": "new", "network": "convnet", "size": 8, "epochs": 2000}
    job = server.post_json("/jobs", {"verb": "fit", "options": options}).json
    until = time.monotonic() + PATIENCE
    while (runs := server.request("/models").json["unfinished"])[-1]["seen_pictures"] == 0:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert [(run["name"], run["state"], run["job"]) for run in runs] == [
        ("half-way", "unfinished", None),
        ("new", "running", job["id"]),
    ]
    assert runs[0]["seen_pictures"] == 640
    server.request(f"/jobs/{job['id']}/cancel", b"", method="POST")
    while server.request("/models").json["unfinished"][-1]["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert server.request("/models").json["unfinished"][-1]["state"] == "cancelled"


def assert_apart(laid_out: dict[str, Any]) -> None:
    """A picture's nearest neighbour on the map is of its own label, nearly always."""
    json.dumps(laid_out, allow_nan=False)
    points = np.stack([laid_out["x"], laid_out["y"]], 1)
    labels = np.array(laid_out["label"])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(len(points), np.inf))
    assert (labels[distances.argmin(1)] == labels).mean() >= 0.9


def test_models_are_audited_for_bias_and_for_privacy(server: ServerProcess) -> None:
    job = run(server, "audit", model="colours", data="others")
    assert job["result"]["verdict"] == "too_few"
    assert "24 pictures are too few to say" in job["result"]["verdict_text"]
    assert job["files"] == ["report.html", "audit.json", "log.txt"]
    assert server.request(f"/jobs/{job['id']}/files/audit.json").json["verdict"] == "too_few"
    private = run(server, "audit", kind="privacy", model="vae", seen="uneven", unseen="others")
    assert private["result"]["verdict"] == "too_few"
    assert private["files"] == ["report.html", "audit.json", "log.txt"]
    wrong = {"verb": "audit", "options": {"model": "colours", "data": "others", "groups": "../x"}}
    refused = server.post_json("/jobs", wrong)
    assert refused.status == 422
    assert "groups must be the names of columns" in refused.body.decode()
