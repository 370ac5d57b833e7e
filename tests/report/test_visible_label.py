import numpy as np
import pytest

from diptych.report.visible_label import can_be_labelled, too_small, with_visible_label


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (300, 512), (1024, 768)])
def test_the_label_is_in_a_corner_and_at_least_a_twentieth_high(height, width):
    grey = np.full((height, width, 3), 128, np.uint8)
    labelled = with_visible_label(grey)
    assert (grey == 128).all()
    letters = np.argwhere((labelled > 230).all(2))
    rows, columns = letters.max(0) - letters.min(0) + 1
    assert rows >= 0.05 * min(height, width)
    assert letters.min(0)[0] > height / 2
    assert columns <= width
    assert (labelled[: height // 2] == 128).all()


def test_the_letters_are_legible_on_any_ground():
    for ground in (0, 128, 255):
        labelled = with_visible_label(np.full((128, 128, 3), ground, np.uint8)).astype(int)
        corner = labelled[-6:, -40:]
        assert labelled.max() - corner.min() > 120


def test_too_small_a_picture_is_left_alone_and_a_sentence_says_why():
    small = np.zeros((32, 200, 3), np.uint8)
    assert not can_be_labelled(200, 32)
    assert with_visible_label(small) is small
    assert "no text is legible" in too_small(32)
