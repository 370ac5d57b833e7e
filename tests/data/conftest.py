"""Pictures made on the spot: smooth random scenes, no two alike, that survive re-encoding as photographs do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Scene = Callable[..., Image.Image]


@pytest.fixture
def scene() -> Scene:
    def make(seed: int, width: int = 48, height: int = 40) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def class_folders(tmp_path: Path, scene: Scene) -> Path:
    """Six PNG of each of two classes, cat and dog."""
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(6):
            scene(10 * k + i).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"
