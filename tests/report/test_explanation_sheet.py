import io

import numpy as np
import pytest
from PIL import Image

from diptych.report.explanation_sheet import BAR, MIN_SIDE_PIXELS, SimilarPicture, explanation_sheet
from diptych.report.fonts import load_font, shorten

NAMES = ["cat 98%", "猫 98%", "caf\udce9 \x07 <b>", "x" * 400]


def _drawn(height: int, width: int, name: str, neighbours: int) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    similar = [SimilarPicture(pixels if i % 2 else None, name, name) for i in range(neighbours)]
    heatmap = np.ones((4, 4), np.float32)
    chances = {name: 0.9, f"{name} no": 0.1}
    sheet = explanation_sheet(
        pixels, heatmap, prediction=name, explained=name, probabilities=chances, neighbours=similar
    )
    return np.asarray(Image.open(io.BytesIO(sheet)))


@pytest.mark.parametrize("name", NAMES)
def test_a_sheet_shows_the_picture_at_its_own_size(name: str) -> None:
    drawn = _drawn(300, 400, name, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    gap = 400 // 24
    assert (drawn[2 * gap : 2 * gap + 300, gap : gap + 400] == pixels).all()
    assert drawn.shape[1] == 2 * 400 + 3 * gap
    assert (drawn[: 2 * gap, gap : gap + 400] < 128).any()  # there is a caption above
    assert (drawn[:, -gap // 2 :] == 255).all()  # and it ends before the edge


def test_the_bars_are_as_long_as_the_probabilities() -> None:
    drawn = _drawn(300, 400, "cat", 0)
    lengths = sorted({int((row == BAR).all(1).sum()) for row in drawn} - {0})
    assert len(lengths) == 2
    assert lengths[1] / lengths[0] == pytest.approx(9, rel=0.1)


def test_a_small_picture_is_enlarged() -> None:
    assert _drawn(8, 8, "3", 0).shape[1] > 2 * MIN_SIDE_PIXELS
    assert _drawn(8, 8, "3", 3).shape[0] > _drawn(8, 8, "3", 0).shape[0]


def test_long_names_are_shortened_to_their_end() -> None:
    shortened = shorten("a/long/path/to/a/picture.png", 12, 120)
    assert shortened.startswith("…")
    assert shortened.endswith("picture.png")
    assert load_font(shortened, 12).getlength(shortened) <= 120
