"""Match and enroll over HTTP, on a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.loading import load
from diptych.recognition.gallery.gallery import Gallery
from tests.serving.conftest import ServerProcess, pixels, png


@pytest.fixture(scope="module")
def gallery_home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a gallery of ten red pictures, and one whose contents change; one export is that of both."""
    folder = tmp_path_factory.mktemp("galleries")
    named = Images.from_arrays(pixels(0)[:10], ["red"] * 10, groups={"year": ["2020"] * 5 + ["2021"] * 5})
    named = named.with_metadata(paths=np.array([f"/home/me/photos/red/{i}.png" for i in range(10)]))
    Gallery(home / "colours", folder / "things").enroll(named)
    changing = Images.from_arrays(pixels(0), ["red"] * 8 + ["pink"] * 4)
    Gallery(home / "colours", folder / "changing").enroll(changing)
    return folder


@pytest.fixture(scope="module")
def gallery_server(gallery_home: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(gallery_home)
    yield server
    server.stop()


def test_what_is_enrolled_is_matched_at_once(
    gallery_server: ServerProcess, gallery_home: Path, pictures: list[bytes]
) -> None:
    red, blue = pictures[:2]
    answer = gallery_server.request("/models/things/match?k=3&path=one.png", red)
    assert answer.status == 200
    assert answer.json["path"] == "one.png"
    assert answer.json["label"] == "red"
    assert len(answer.json["nearest"]) == 3
    assert all(near["path"].startswith("red/") for near in answer.json["nearest"])  # nothing more of the machine
    expected = load(gallery_home / "things").match([red], k=3)[0]
    assert answer.json["distance"] == pytest.approx(expected.distance, abs=1e-4)
    assert gallery_server.request("/models/things/match", blue).json["label"] == "red"  # there is nothing else
    blues = [png(picture) for picture in pixels(5)[:6, ..., ::-1]]
    for number, picture in enumerate(blues):
        enrolled = gallery_server.request(f"/models/things/enroll?label=blue&path={number}.png", picture)
        assert enrolled.json["added"] == 1
    assert enrolled.json["labels"] == {"blue": 6, "red": 10}
    assert gallery_server.request("/models/things/enroll?label=blue", blues[0]).json["present"] == 1
    assert gallery_server.request("/models/things/match", blue).json["label"] == "blue"
    assert load(gallery_home / "things").labels == {"blue": 6, "red": 10}


def test_filters_and_bad_requests(gallery_server: ServerProcess, pictures: list[bytes]) -> None:
    path = "/models/things/match"
    filtered = gallery_server.request(f"{path}?where=year%3D2021&k=100", pictures[0]).json
    assert len(filtered["nearest"]) == 5
    assert gallery_server.request(f"{path}?where=nonsense", pictures[0]).status == 422
    assert gallery_server.request(f"{path}?where=colour%3Dred", pictures[0]).status == 422
    assert gallery_server.request(f"{path}?k=0", pictures[0]).status == 422
    assert gallery_server.request(path, b"no picture").status == 415
    assert gallery_server.request("/models/things/predict", pictures[0]).status == 422
    assert gallery_server.request("/models/things/enroll", pictures[0]).status == 422
    assert json.loads(gallery_server.request("/models").body)["models"][0]["kind"] == "gallery"


def test_matches_without_torch_are_those_of_the_library(
    gallery_server: ServerProcess, gallery_home: Path, pictures: list[bytes]
) -> None:
    gallery_server.wait_for_exports()
    server = ServerProcess(gallery_home)
    gallery = load(gallery_home / "things")
    for picture, row in zip(pictures, gallery.match(pictures[:4]), strict=False):
        answer = server.request("/models/things/match", picture).json
        assert answer["label"] == row.name
        assert answer["unknown"] == row.unknown
        assert answer["confidence"] == pytest.approx(row.confidence, abs=1e-3)
        assert answer["distance"] == pytest.approx(row.distance, abs=1e-3)
        assert [near["distance"] for near in answer["nearest"]] == pytest.approx(
            [near.distance for near in row.nearest], abs=1e-3
        )
    assert server.worker("full") is None
    green = [png(picture) for picture in pixels(6)[:6, ..., [1, 0, 2]]]
    for picture in green:
        assert server.request("/models/things/enroll?label=green", picture).json["added"] == 1
    assert server.request("/models/things/match?k=1", green[0]).json["label"] == "green"
    server.stop()


def test_contents_are_listed_and_changed(gallery_server: ServerProcess, pictures: list[bytes]) -> None:
    server, place = gallery_server, "/models/changing"
    assert server.request(f"{place}/labels").json == {"labels": {"pink": 4, "red": 8}}
    listed = server.request(f"{place}/pictures?label=red&offset=6&limit=5").json["pictures"]
    assert [one["label"] for one in listed] == ["red", "red"]
    ids = [one["id"] for one in listed]
    assert server.post_json(f"{place}/pictures/reassign", {"ids": ids, "label": "rose"}).json == {"changed": 2}
    assert server.post_json(f"{place}/pictures/relabel", {"label": "pink", "into": "red"}).json == {"changed": 4}
    assert server.request(f"{place}/labels").json == {"labels": {"red": 10, "rose": 2}}
    assert server.post_json(f"{place}/pictures/remove", {"labels": ["rose"]}).json == {"changed": 2}
    assert len(server.request(f"{place}/match?k=100", pictures[0]).json["nearest"]) == 10
    for path, body in (
        ("reassign", {"ids": ids, "label": "rose"}),
        ("remove", {"labels": ["rose"]}),
        ("relabel", {"label": "rose", "into": ""}),
    ):
        assert server.post_json(f"{place}/pictures/{path}", body).status == 422
