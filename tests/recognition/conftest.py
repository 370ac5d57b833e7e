"""What the tests of recognition share."""

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images


@pytest.fixture(scope="session")
def digits() -> Images:
    """Four digits, 40 of each."""
    every = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(every.labels == k)[:40] for k in range(4)])
    return every[rows]


@pytest.fixture
def folder_with_a_broken_picture(tmp_path):
    """Six pictures of each of two classes, and one that is cut short."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.fromarray(draw.integers(0, 256, (12, 12, 3)).astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    whole = (tmp_path / "cat" / "0.png").read_bytes()
    (tmp_path / "cat" / "broken.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path
