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


def test_where_few_can_be_sampled_fewer_are_measured_in_fewer_columns():
    samples = EvaluationSamples.affordable([0.5, 0.5], 32, 12.7)
    assert (samples.columns, samples.grid, samples.measured.sum()) == (6, 12, 12)
    assert samples.labels.tolist() == [0] * 6 + [1] * 6
    least = EvaluationSamples.affordable([0.1] * 10, 32, 0.1)
    assert (least.columns, least.grid, len(least.labels)) == (2, 20, 20)
    enough, all_of_them = EvaluationSamples.affordable([0.7, 0.3], 32, 1e9), EvaluationSamples.of([0.7, 0.3], 32)
    assert enough.labels.tolist() == all_of_them.labels.tolist()
    assert enough.columns == all_of_them.columns


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
