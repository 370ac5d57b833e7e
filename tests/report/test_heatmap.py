import numpy as np

from diptych.report.heatmap import overlay


def test_what_is_cold_is_grey_and_what_is_hot_is_red() -> None:
    picture = np.full((40, 60, 3), (20, 200, 20), np.uint8)
    heat = np.zeros((4, 6), np.float32)
    heat[0, 0] = 1
    shown = overlay(picture, heat)
    assert shown.shape == (40, 60, 3)
    cold, hot = shown[-1, -1], shown[2, 2]
    assert len(set(cold.tolist())) == 1  # grey
    assert hot[0] > 130
    assert hot[0] > hot[1] + 60
    assert (overlay(picture, np.zeros((1, 1), np.float32))[..., 0] == cold[0]).all()
