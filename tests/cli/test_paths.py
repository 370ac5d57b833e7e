import logging
from pathlib import Path

import pytest
from PIL import Image

from diptych.cli.paths import image_sets


def test_a_folder_that_is_left_out_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cats" / "a.png")
    (tmp_path / "again").symlink_to(tmp_path / "cats", target_is_directory=True)
    with caplog.at_level(logging.WARNING, "diptych"):
        (images,) = image_sets([str(tmp_path)])
    assert len(images) == 1
    assert "Left out:" in caplog.text
