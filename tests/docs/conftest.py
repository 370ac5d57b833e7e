"""The pictures that the code of docs/python.md is about."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with dark cats and bright dogs for training and for a test."""
    draw = np.random.default_rng(0)
    for part, count in (("photos", 20), ("test", 6)):
        for name, base in (("cat", 40), ("dog", 150)):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = (base + draw.integers(0, 60, (16, 16, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{i}.png")
    (tmp_path / "cat.png").write_bytes((tmp_path / "test" / "cat" / "0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path
