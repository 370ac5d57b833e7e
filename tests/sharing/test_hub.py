"""Models on a hub, by a local stand-in of its HTTP interface: sent whole, fetched once, nothing else taken."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import diptych
from diptych.errors import ArtefactError, DataError, UsageError
from diptych.sharing import hub
from tests.sharing.hub_server import TOKEN, HubServer, hub_server

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the hub's client, of its own calls


#: Of ``train``: the options that a command leaves out.
OTHERS = {
    "started": 0.0,
    "validate": None,
    "more": None,
    "labels": None,
    "manifest": None,
    "tensorboard": False,
    "json": True,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with hub_server() as running:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        template = f"{running.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "pets"
    diptych.Recognizer("convnet", size=8, epochs=1).fit(diptych.Images.open("digits")[:200]).save(folder)
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "run.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    return folder


def test_a_model_goes_there_and_comes_back_the_same(server: HubServer, model: Path) -> None:
    assert diptych.push(model, "hf://anna/pets").endswith("/anna/pets")
    repository = server.repositories["anna/pets"]
    assert repository["created_as"].get("visibility", repository["created_as"].get("private")) in ("private", True)
    sent = repository["commits"][-1][1]
    own = {path.name for path in model.iterdir()} - {"checkpoint", "notes.txt"}
    assert sent.keys() == own
    assert sent["README.md"].decode().startswith("---\nlibrary_name: diptych\npipeline_tag: image-classification\n")
    digits = diptych.Images.open("digits")[300:320]
    fetched = diptych.load("hf://anna/pets")
    assert fetched.predict(digits).names == diptych.load(model).predict(digits).names


def test_what_was_fetched_is_not_fetched_again_and_a_new_version_is(server: HubServer, model: Path) -> None:
    hub.push(model, "hf://anna/pets")
    first = hub.fetch("hf://anna/pets")
    assert not (first / ".cache").exists()
    server.asked.clear()
    assert hub.fetch("hf://anna/pets") == first
    assert not [asked for asked in server.asked if "resolve" in asked]
    changed = model.with_name("changed")
    shutil.copytree(model, changed, dirs_exist_ok=True)
    (changed / "README.md").write_text((changed / "README.md").read_text() + "\nMore.\n")
    hub.push(changed, "hf://anna/pets")
    second = hub.fetch("hf://anna/pets")
    assert second != first
    assert (second / "README.md").read_text().endswith("More.\n")
    assert hub.fetch(f"hf://anna/pets@{first.name}") == first


def test_nothing_is_sent_where_everyone_sees_it_unless_that_is_asked_for(server: HubServer, model: Path) -> None:
    hub.push(model, "hf://anna/shown", public=True)
    commits = len(server.repositories["anna/shown"]["commits"])
    with pytest.raises(UsageError, match="everyone may see it"):
        hub.push(model, "hf://anna/shown")
    assert len(server.repositories["anna/shown"]["commits"]) == commits


def test_only_the_files_of_a_model_are_taken(server: HubServer, model: Path) -> None:
    hub.push(model, "hf://anna/pets")
    files = server.repositories["anna/pets"]["commits"][-1][1]
    files |= {"pytorch_model.bin": b"\x80", "modeling.py": b"raise SystemExit", ".hidden.json": b"{}"}
    folder = hub.fetch("hf://anna/pets")
    assert {path.name for path in folder.iterdir()} == files.keys() - {
        "pytorch_model.bin",
        "modeling.py",
        ".hidden.json",
    }


def test_without_the_hub_the_last_version_serves_and_anything_else_is_refused(
    server: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.push(model, "hf://anna/pets")
    folder = hub.fetch("hf://anna/pets")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    assert hub.fetch("hf://anna/pets") == folder
    assert "as it was fetched last" in caplog.text
    with pytest.raises(UsageError, match="the hub cannot be reached"):
        hub.fetch("hf://anna/others")
    with pytest.raises(UsageError, match="the hub cannot be reached"):
        hub.push(model, "hf://anna/pets")


def test_what_cannot_be_is_a_sentence(
    server: HubServer, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="hf://anna/none is not on the hub"):
        diptych.load("hf://anna/none")
    hub.push(model, "hf://anna/pets")
    with pytest.raises(DataError, match="@v9 is not on the hub"):
        hub.fetch("hf://anna/pets@v9")
    with pytest.raises(UsageError, match="One is like hf://user/name"):
        hub.push(model, "hf://anna")
    with pytest.raises(ArtefactError, match="There is no model"):
        hub.push(tmp_path / "nothing", "hf://anna/pets")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(UsageError, match="Log in: hf auth login"):
        hub.push(model, "hf://anna/pets")


def test_verbs_take_an_address_where_they_take_a_model(server: HubServer, model: Path, tmp_path: Path) -> None:
    from diptych.cli.fit_run import train
    from diptych.cli.models import default_output, load_predictor
    from diptych.interplay.comparison import compare

    hub.push(model, "hf://anna/pets")
    assert load_predictor(Path("hf://anna/pets"), "recognizer").classes_ == diptych.load(model).classes_
    table = compare([Path("hf://anna/pets"), model]).tables["Scores on held-out pictures"]
    assert table.columns[1:3] == ["hf://anna/pets", str(model)]
    assert default_output(Path("hf://anna/pets@v2"), "samples") == Path("pets-samples")
    with pytest.raises(ArtefactError, match="hf://anna/pets holds a recognizer"):
        load_predictor(Path("hf://anna/pets"), "gallery")
    options = {"network": "convnet", "epochs": 1, "size": 8}
    place = {"data": "digits", "output": tmp_path / "new", "start": Path("hf://anna/pets")}
    assert train("recognizer", options, **place, **OTHERS) == 0


def test_a_name_that_the_hub_does_not_allow_and_an_empty_endpoint_are_sentences(
    server: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="hf://anna/a--b cannot be the name of a model on the hub"):
        hub.push(model, "hf://anna/a--b")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "")
    with pytest.raises(UsageError, match="the hub cannot be reached"):
        hub.push(model, "hf://anna/pets")
