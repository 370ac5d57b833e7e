import numpy as np
import pytest

from diptych.report import figures
from diptych.synthesis.training.sample_grids import EvaluationSamples, SampleGrids


def test_a_grid_has_a_row_for_each_class():
    samples = EvaluationSamples.of([0.5, 0.3, 0.2])
    assert samples.labels[: samples.grid].reshape(3, 8).tolist() == [[0] * 8, [1] * 8, [2] * 8]
    assert EvaluationSamples.of([]).labels.tolist() == [-1] * 32
    assert EvaluationSamples.of([1 / 50] * 50).grid == 80


@pytest.mark.parametrize("shares", [[0.5, 0.3, 0.2], [0.98, 0.02], [1 / 12] * 12, []])
def test_what_is_measured_has_the_classes_shares(shares):
    samples = EvaluationSamples.of(shares, 100)
    measured = samples.labels[samples.measured]
    assert len(measured) == 100
    assert samples.seeds == range(len(samples.labels))
    if shares:
        counts = np.bincount(measured, minlength=len(shares))
        assert np.abs(counts - 100 * np.asarray(shares)).max() < 1


def test_frames_of_a_stretch_that_is_trained_again_are_deleted(tmp_path):
    sheet = figures.grid(np.zeros((4, 8, 8, 3), np.uint8))
    grids = SampleGrids(tmp_path, 0)
    for moment in (64, 128, 192):
        grids.add(sheet, moment)
    resumed = SampleGrids(tmp_path, 128)
    assert list(resumed.frames()) == ["64 pictures seen", "128 pictures seen"]
    assert not (tmp_path / "samples" / "000000192.png").exists()


def test_a_report_gets_a_dozen_small_frames():
    grids = SampleGrids(None, 0)
    noise = np.random.default_rng(0).integers(0, 256, (80, 64, 64, 3), dtype=np.uint8)
    for moment in range(100, 2100, 100):
        grids.add(figures.grid(noise, 8), moment)
    frames = grids.frames()
    assert len(frames) == 12
    assert next(iter(frames)) == "100 pictures seen"
    assert list(frames)[-1] == "2,000 pictures seen"
    assert max(map(len, frames.values())) < len(figures.grid(noise, 8)) / 3
