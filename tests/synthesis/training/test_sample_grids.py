import numpy as np
import pytest

from diptych.report import figures
from diptych.synthesis.training.sample_grids import GridFrames, GridRequest


def test_a_grid_has_a_row_for_each_class():
    asked = GridRequest.of([0.5, 0.3, 0.2])
    assert asked.labels[: asked.grid].reshape(3, 8).tolist() == [[0] * 8, [1] * 8, [2] * 8]
    assert GridRequest.of([]).labels.tolist() == [-1] * 32
    assert GridRequest.of([1 / 50] * 50).grid == 80


@pytest.mark.parametrize("shares", [[0.5, 0.3, 0.2], [0.98, 0.02], [1 / 12] * 12, []])
def test_what_is_judged_has_the_classes_shares(shares):
    asked = GridRequest.of(shares, 100)
    judged = asked.labels[asked.judged]
    assert len(judged) == 100
    assert asked.seeds == range(len(asked.labels))
    if shares:
        counts = np.bincount(judged, minlength=len(shares))
        assert np.abs(counts - 100 * np.asarray(shares)).max() < 1


def test_frames_of_a_stretch_that_is_trained_again_are_forgotten(tmp_path):
    sheet = figures.grid(np.zeros((4, 8, 8, 3), np.uint8))
    first = GridFrames(tmp_path, 0)
    for moment in (64, 128, 192):
        first.keep(sheet, moment)
    again = GridFrames(tmp_path, 128)
    assert list(again.shown()) == ["64 pictures seen", "128 pictures seen"]
    assert not (tmp_path / "samples" / "000000192.png").exists()


def test_a_report_gets_a_dozen_small_frames():
    frames = GridFrames(None, 0)
    noise = np.random.default_rng(0).integers(0, 256, (80, 64, 64, 3), dtype=np.uint8)
    for moment in range(100, 2100, 100):
        frames.keep(figures.grid(noise, 8), moment)
    shown = frames.shown()
    assert len(shown) == 12
    assert next(iter(shown)) == "100 pictures seen"
    assert list(shown)[-1] == "2,000 pictures seen"
    assert max(map(len, shown.values())) < len(figures.grid(noise, 8)) / 3
