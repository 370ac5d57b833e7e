import logging
from pathlib import Path

import pytest
from PIL import Image

from diptych.cli.paths import UnreadablePath, image_sets
from diptych.data.images import Images
from diptych.data.packing.pack import pack
from tests.cli.conftest import Terminal


def test_a_folder_that_is_left_out_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cats" / "a.png")
    (tmp_path / "again").symlink_to(tmp_path / "cats", target_is_directory=True)
    with caplog.at_level(logging.WARNING, "diptych"):
        (images,) = image_sets([str(tmp_path)])
    assert len(images) == 1
    assert "1 file or folder was left out:" in caplog.text
    assert f"{tmp_path}/again: " in caplog.text


def test_files_that_get_no_row_are_named_with_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "scans.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "more.zip").write_bytes(b"PK")
    with caplog.at_level(logging.WARNING, "diptych"):
        assert [len(images) for images in image_sets([str(tmp_path)])] == [1]
    assert "scans.pdf: a PDF, which is not read; save its pages as pictures" in caplog.text
    assert "more.zip: an archive beside pictures; open it by its own path" in caplog.text


def test_a_packed_set_is_one_whatever_lies_in_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pack(Images.open("digits")[:20], tmp_path / "shards")
    with caplog.at_level(logging.WARNING, "diptych"):
        assert [len(images) for images in image_sets([str(tmp_path / "shards")])] == [20]
        assert not caplog.messages
        Image.new("RGB", (8, 8)).save(tmp_path / "shards" / "mine.png")
        assert [len(images) for images in image_sets([str(tmp_path / "shards")])] == [20]
    assert caplog.messages == [f"{tmp_path}/shards is a packed set; not used: mine.png."]


def test_files_and_sets_come_in_the_order_of_the_paths_and_in_chunks(tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    files = [str(tmp_path / f"{name}.png") for name in "abc"]
    table, nothing = tmp_path / "set.parquet", tmp_path / "nothing.parquet"
    Images.open("digits")[:5].save(table)
    sets = list(image_sets([*files, str(table), str(nothing), files[0]], chunk=2))
    assert [len(images) for images in sets if isinstance(images, Images)] == [2, 1, 2, 2, 1, 1]
    assert [Path(path).name for images in sets[:2] for path in images.paths] == ["a.png", "b.png", "c.png"]
    (unreadable,) = [images for images in sets if isinstance(images, UnreadablePath)]
    assert unreadable.path == str(nothing)
    assert sets.index(unreadable) == 5


def test_every_command_asks_whether_a_path_that_is_there_was_meant(diptych: Terminal, tmp_path: Path) -> None:
    photos, table = tmp_path / "photos", tmp_path / "photos.csv"
    photos.mkdir()
    table.write_text("path\n")
    Image.new("RGB", (8, 8)).save(photos / "a.png")
    wrong, model = tmp_path / "phtos", tmp_path / "phots"
    results = diptych.several(
        ["inspect", wrong],
        ["fit", "flow", wrong, "-o", tmp_path / "out"],
        ["predict", model, photos],
        ["evaluate", model, photos],
        ["sample", model],
        ["predict", tmp_path / "photos.onnx", photos],
        ["enroll", tmp_path / "gallery", photos, "--as", "a", "--recognizer", wrong],
        ["fit", "recognizer", photos, "--manifest", tmp_path / "photo.csv"],
        ["inspect", photos, "--config", tmp_path / "photo.csv"],
    )
    for result in results:
        assert result.code in (2, 3), result.err
        assert "Did you mean" in result.err, result.err
    assert f"{wrong} is not there. Did you mean '{photos}/'?" in results[0].err
    assert f"Did you mean '{table}'?" in results[-1].err
