"""Folders of noise pictures, for benchmarks that need class folders."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_noise(folder: Path, count: int) -> None:
    """Write ``count`` noise pictures of cats and of dogs each."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (24, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
