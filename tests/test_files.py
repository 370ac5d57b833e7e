import json
from pathlib import Path

import pytest

from diptych.files import (
    did_you_mean,
    expanded,
    is_occupied,
    path_for_clients,
    path_from_here,
    remove_folder,
    write_bytes,
    write_text,
)


def test_folders_are_created_and_the_old_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "notes.txt"
    write_text(path, "first")
    write_text(path, "第二")
    assert path.read_text(encoding="utf-8") == "第二"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_removed_with_what_a_kill_left_of_an_earlier_one(tmp_path: Path) -> None:
    for name in ("parts", ".parts.deleted"):
        write_text(tmp_path / name / "picture", "half")
    remove_folder(tmp_path / "parts")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write_bytes(path, b"old")
    with pytest.raises(TypeError):
        write_bytes(path, 7)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_not_utf8_survives_in_json(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    write_text(path, json.dumps({"name": "caf\udce9"}, ensure_ascii=False))
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "caf\udce9"}


def test_an_error_names_the_file_and_not_its_draft(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken") as caught:
        write_bytes(tmp_path / "taken", b"new")
    assert caught.value.filename == str(tmp_path / "taken")


def test_hidden_files_do_not_count_as_content(tmp_path: Path) -> None:
    assert not is_occupied(tmp_path / "none")
    (tmp_path / ".DS_Store").touch()
    assert not is_occupied(tmp_path)
    (tmp_path / "a").touch()
    assert is_occupied(tmp_path)
    assert is_occupied(tmp_path / "a")


def test_a_missing_path_is_compared_with_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (tmp_path / "photos" / "cats" / "one.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert did_you_mean("phtos/") == " Did you mean 'photos/'?"
    assert did_you_mean("Photos/cat") == " Did you mean 'photos/cats/'?"
    assert did_you_mean(tmp_path / "phtos" / "cats" / "one.jpeg") == f" Did you mean '{tmp_path}/photos/cats/one.jpg'?"
    assert did_you_mean("holiday") == did_you_mean("photos/dog") == ""


def test_what_systems_leave_in_a_folder_does_not_occupy_it(tmp_path):
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_bytes(b"left behind")
    assert not is_occupied(tmp_path)
    (tmp_path / ".IMG_1.heic.icloud").write_bytes(b"a person's picture, elsewhere")
    assert is_occupied(tmp_path)


def test_a_tilde_is_the_home_folder_unless_something_here_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert expanded("~/photos") == tmp_path / "home" / "photos"
    assert expanded("~nobody-at-all/photos") == Path("~nobody-at-all/photos")
    (tmp_path / "~").mkdir()
    (tmp_path / "~tmp").mkdir()
    assert expanded(Path("./~")) == Path("~")
    assert expanded("~tmp") == Path("~tmp")


def test_a_path_is_shown_as_it_can_be_opened_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert path_from_here(str(tmp_path / "photos" / "cat" / "3.jpg")) == str(Path("photos", "cat", "3.jpg"))
    assert path_from_here(str(tmp_path.parent / "3.jpg")) == str(tmp_path.parent / "3.jpg")
    assert path_from_here("array#3") == "array#3"


def test_clients_see_the_class_folder_and_the_file():
    assert path_for_clients("/home/me/photos/cat/3.jpg") == "cat/3.jpg"
    assert path_for_clients("/3.jpg") == "3.jpg"
    assert path_for_clients("/home/me/photos.parquet#3") == "me/photos.parquet#3"
    assert path_for_clients("file:///home/me/photos/cat/3.jpg") == "cat/3.jpg"
    for name in ("array#3", "s3://photos/cat/3.jpg", "upload.jpg"):
        assert path_for_clients(name) == name
