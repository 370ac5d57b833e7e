import pytest
import torch
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from diptych.metrics import distribution
from diptych.metrics.prdc import prdc


def gaussian(n, d, seed, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_precision_and_recall_equal_those_of_torch_fidelity(scale):
    generated, real = gaussian(250, 6, 0, scale), gaussian(300, 6, 1)
    ours = prdc(generated, real, k=3)
    theirs = prc_features_to_metric(generated, real, prc_neighborhood=3, prc_batch_size=10_000, verbose=False)
    assert ours.precision == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-6)
    assert ours.recall == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-6)


def test_the_four_scores_of_narrow_wide_and_equal_distributions():
    real = gaussian(400, 4, 0)
    narrow, wide, equal = (prdc(gaussian(400, 4, 1, scale), real) for scale in (0.3, 3.0, 1.0))
    assert narrow.precision > 0.95 > 0.3 > narrow.recall  # realistic, with little variety
    assert narrow.density > 1.2 > narrow.coverage * 2
    assert wide.precision < 0.6 < wide.recall
    assert equal.precision > 0.9
    assert equal.density == pytest.approx(1, abs=0.1)
    assert equal.coverage == pytest.approx(1 - 2**-5, abs=0.03)  # Naeem et al. 2020, section 3.3


def test_one_repeated_picture_is_precise_and_recalls_nothing():
    real = gaussian(100, 5, 0)
    scores = prdc(real[:1].expand(50, 5), real)
    assert scores.precision == 1
    assert scores.recall == 0.01  # that very picture


def test_the_block_size_changes_nothing(monkeypatch):
    generated, real = gaussian(130, 5, 0), gaussian(90, 5, 1)
    whole = prdc(generated, real)
    monkeypatch.setattr(distribution, "BLOCK_ROWS", 32)
    assert prdc(generated, real) == whole


def test_more_pictures_than_neighbours_are_needed():
    with pytest.raises(ValueError, match="5 neighbours need more than 5 pictures"):
        prdc(gaussian(5, 3, 0), gaussian(50, 3, 1))
