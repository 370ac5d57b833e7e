import logging
from pathlib import Path

import pytest
from PIL import Image

from diptych.cli.paths import UnreadablePath, image_sets
from diptych.data.images import Images


def test_a_folder_that_is_left_out_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cats" / "a.png")
    (tmp_path / "again").symlink_to(tmp_path / "cats", target_is_directory=True)
    with caplog.at_level(logging.WARNING, "diptych"):
        (images,) = image_sets([str(tmp_path)])
    assert len(images) == 1
    assert "Left out:" in caplog.text


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
