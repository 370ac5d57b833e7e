"""Every command of the guide, typed one after the other in one folder.

The Chinese guide shows the same commands in the same order, which tests/docs/test_translations.py asserts, so one run
covers both.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.walk import SIDE, persons_folder, picture, walk

pytestmark = pytest.mark.soak

LEFT_OUT = (
    "demo",  # tests/cli/test_demo.py runs a shorter one
    "models/breeds",  # of another folder, with a table: tests/cli/test_layouts.py
    "hf://",
    "hf auth",  # tests/sharing/test_hub.py has a hub of its own
    "timm:resnet18",  # its weights are downloaded
)


def test_its_commands_run_in_the_order_in_which_it_shows_them(tmp_path: Path) -> None:
    persons_folder(tmp_path)
    for name, base in (("cat", 40), ("dog", 150)):
        shutil.copy(tmp_path / "test" / name / "0.png", tmp_path / f"{name}.jpg")
        shutil.copytree(tmp_path / "test" / name, tmp_path / "other-tool" / "generated" / name)
        for i in range(20):
            picture(tmp_path / "digits" / name / f"{i}.png", 7000 + base + i, base)
            picture(tmp_path / "birds" / f"{name}bird" / f"{i}.png", 8000 + base + i, base)
    shutil.copytree(tmp_path / "new", tmp_path / "other")
    shutil.copy(tmp_path / "new" / "1.jpg", tmp_path / "odd.jpg")
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[2:6, 2:6] = 255
    for name in ("hole", "half"):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    (tmp_path / "settings.yaml").write_text("epochs: 1\n", encoding="utf-8")
    first = walk("README.md", tmp_path)
    (tmp_path / "models" / "pets").rename(tmp_path / "models" / "pets-2")
    shutil.rmtree(tmp_path / "out")
    codes = first | walk("docs/guide.md", tmp_path, LEFT_OUT)
    assert not {command: code for command, code in codes.items() if code}
