import io

import numpy as np
from PIL import Image

from diptych.report.contact_sheet import MIN_TILE_PIXELS, SHEET_WIDTH, contact_sheet


def _sheet(rows: int, columns: int, side: int = 8) -> np.ndarray:
    pictures = np.random.default_rng(0).integers(0, 256, (columns, rows, side, side, 3)).astype(np.uint8)
    named = {f"step {i}": pictures[i] for i in range(columns)}
    return np.asarray(Image.open(io.BytesIO(contact_sheet(named, [f"猫 {i} \x07" for i in range(rows)]))))


def test_small_pictures_are_enlarged_and_captioned() -> None:
    sheet = _sheet(1, 2)
    assert sheet.shape[1] > 2 * MIN_TILE_PIXELS
    assert sheet.shape[0] > MIN_TILE_PIXELS + 30
    assert (sheet[:26] < 128).any()  # a caption
    assert (sheet[26:40] < 160).any()  # a heading


def test_rows_stand_side_by_side_while_there_is_room() -> None:
    one, four = _sheet(1, 2), _sheet(4, 2)
    assert four.shape[1] > 3 * one.shape[1]
    assert four.shape[0] == one.shape[0]
    assert _sheet(40, 2).shape[1] <= SHEET_WIDTH + 20
    assert _sheet(2, 12).shape[1] < 13 * (MIN_TILE_PIXELS + 10)  # too wide for a second one beside it
