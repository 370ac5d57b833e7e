import numpy as np

from diptych.report.heatmap import overlay


def test_an_overlay_is_grey_at_0_and_red_at_1() -> None:
    picture = np.full((40, 60, 3), (20, 200, 20), np.uint8)
    heatmap = np.zeros((4, 6), np.float32)
    heatmap[0, 0] = 1
    image = overlay(picture, heatmap)
    assert image.shape == (40, 60, 3)
    cold, hot = image[-1, -1], image[2, 2]
    assert len(set(cold.tolist())) == 1  # grey
    assert hot[0] > 130
    assert hot[0] > hot[1] + 60
    assert (overlay(picture, np.zeros((1, 1), np.float32))[..., 0] == cold[0]).all()
