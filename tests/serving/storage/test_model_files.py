"""Models renamed and deleted over HTTP, and nothing else."""

import json

import pytest

from tests.serving.outer_client import serving


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    with serving(home) as running:
        yield running


@pytest.fixture
def model(home):
    (home / "pets").mkdir(exist_ok=True)
    (home / "pets" / "model.json").write_text(json.dumps({"format": 2, "kind": "recognizer"}))
    return home / "pets"


def test_a_model_is_renamed(server, home, model):
    answer = server.ask("PATCH", "/models/pets", {"name": "cats 猫"})
    assert (answer.status, answer.json()) == (200, {"name": "cats 猫"})
    assert not model.exists()
    assert (home / "cats 猫" / "model.json").exists()
    assert server.ask("DELETE", "/models/cats%20%E7%8C%AB").status == 204
    assert sorted(path.name for path in home.iterdir()) == [".jobs", "data"]


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", "", "a/b", ".x", "a\0"])
def test_a_model_cannot_be_moved_elsewhere(server, model, name):
    assert server.ask("PATCH", "/models/pets", {"name": name}).status == 422
    assert (model / "model.json").exists()


@pytest.mark.parametrize("name", ["data", "pets"])
def test_a_name_that_is_taken_is_refused(server, model, name):
    answer = server.ask("PATCH", "/models/pets", {"name": name})
    assert (answer.status, answer.code) == (409, "name_taken")


@pytest.mark.parametrize("name", ["data", ".jobs", "..", "%2e%2e", "absent", "..%2fother", "%00", "linked"])
def test_what_is_no_model_of_the_folder_is_not_deleted(server, home, tmp_path, name):
    (tmp_path / "model.json").write_text("{}")
    link = home / "linked"
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path)
    assert server.ask("DELETE", f"/models/{name}").status in (404, 405)
    assert (tmp_path / "model.json").exists()
    assert (home / "data").exists()
    link.unlink()


def test_a_model_that_a_job_uses_stays(server, home, model):
    (home / "data" / "pets" / "cat").mkdir(parents=True, exist_ok=True)
    started = server.post("/jobs", {"verb": "evaluate", "options": {"model": "pets", "data": "pets"}})
    assert started.status == 202
    answers = [server.ask("DELETE", "/models/pets"), server.ask("PATCH", "/models/pets", {"name": "other"})]
    assert [(answer.status, answer.code) for answer in answers] == [(409, "in_use")] * 2
    server.post(f"/jobs/{started.json()['id']}/cancel")
