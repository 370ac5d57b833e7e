from pathlib import Path

import pytest

from diptych.recognition.gallery.shown_paths import path_for_clients, path_from_here


def test_a_path_is_shown_as_it_can_be_opened_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_from_here(str(tmp_path / "photos" / "cat" / "3.jpg")) == str(Path("photos", "cat", "3.jpg"))
    assert path_from_here(str(tmp_path.parent / "3.jpg")) == str(tmp_path.parent / "3.jpg")
    assert path_from_here("array#3") == "array#3"


def test_clients_see_the_class_folder_and_the_file() -> None:
    assert path_for_clients("/home/me/photos/cat/3.jpg") == "cat/3.jpg"
    assert path_for_clients("/3.jpg") == "3.jpg"
    assert path_for_clients("/home/me/photos.parquet#3") == "me/photos.parquet#3"
    assert path_for_clients("file:///home/me/photos/cat/3.jpg") == "cat/3.jpg"
    for name in ("array#3", "s3://photos/cat/3.jpg", "upload.jpg"):
        assert path_for_clients(name) == name
