"""Which mask is whose, and what is white in it."""

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.synthesis.editing.masks import hole_masks

LEFT = np.zeros((8, 8), np.uint8)
LEFT[:, :4] = 255


@pytest.fixture
def folder(tmp_path):
    """Pictures a.png and b.png in photos/, and where masks are to be."""
    for name in ("photos/a.png", "photos/b.png"):
        save(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    return tmp_path


def save(path, pixels):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def holes(folder, *pictures):
    files = [str(folder / "photos" / name) for name in pictures]
    return hole_masks(str(folder / "masks"), Images.of_files(files), 8)[:, 0].numpy()


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("a_mask.png", "b_mask.png"), ("a.bmp", "b-Mask.png")])
def test_a_mask_belongs_to_the_picture_of_its_name(folder, names):
    for name, pixels in zip(names, (LEFT, LEFT[:, ::-1]), strict=True):
        save(folder / "masks" / name, np.ascontiguousarray(pixels))
    first, second, again = holes(folder, "b.png", "a.png", "b.png")
    assert np.array_equal(first, LEFT[:, ::-1] > 0)
    assert np.array_equal(second, LEFT > 0)
    assert np.array_equal(again, first)
    assert np.array_equal(holes(folder, "a.png"), [LEFT > 0])  # among more masks than pictures


def test_a_picture_without_a_mask_of_its_name_is_refused(folder):
    for name in ("a.png", "c.png"):
        save(folder / "masks" / name, LEFT)
    with pytest.raises(UsageError, match=r"b\.png has no mask: the masks are a\.png, c\.png\. Name each mask as its"):
        holes(folder, "a.png", "b.png")
    save(folder / "masks" / "a_mask.png", LEFT)
    with pytest.raises(UsageError, match=r"a\.png has several masks: the masks are a\.png, a_mask\.png"):
        holes(folder, "a.png")


def test_what_is_transparent_in_a_mask_is_not_white(folder):
    strokes = np.zeros((8, 8, 4), np.uint8)
    strokes[:, :4] = 255
    save(folder / "masks" / "a.png", strokes)
    assert np.array_equal(holes(folder, "a.png"), [LEFT > 0])


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 30)])
def test_a_transparent_hole_in_something_else_is_refused(folder, colour):
    erased = np.full((8, 8, 4), (*colour, 255), np.uint8)
    erased[2:4, 2:4] = 0
    save(folder / "masks" / "a.png", erased)
    with pytest.raises(UsageError, match=r"a\.png has transparent parts, .* Paint those white and all others black"):
        holes(folder, "a.png")


def test_a_mask_that_would_change_nothing_is_refused(folder):
    for pixels, most in ((LEFT // 255, 1), (LEFT * 0, 0)):
        save(folder / "masks" / "a.png", pixels)
        with pytest.raises(
            UsageError, match=rf"nothing white, .* values go up to {most}\. Where to generate must be 255"
        ):
            holes(folder, "a.png")
    picture = Images.from_arrays(np.zeros((1, 8, 32, 3), np.uint8))
    aside = np.zeros((8, 32), bool)
    aside[:, :4] = True
    with pytest.raises(UsageError, match="white only outside the centred square"):
        hole_masks(aside, picture, 8)
    save(folder / "masks" / "a.png", LEFT)
    Image.fromarray(LEFT).convert("1").save(folder / "masks" / "a.png")
    assert np.array_equal(holes(folder, "a.png"), [LEFT > 0])
