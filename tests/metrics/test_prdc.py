import pytest
import torch
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from diptych.metrics import distribution
from diptych.metrics.prdc import prdc


def gaussian(n, d, seed, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_precision_and_recall_are_torch_fidelitys(scale):
    made, real = gaussian(250, 6, 0, scale), gaussian(300, 6, 1)
    ours = prdc(made, real, k=3)
    theirs = prc_features_to_metric(made, real, prc_neighborhood=3, prc_batch_size=10_000, verbose=False)
    assert ours.precision == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-6)
    assert ours.recall == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-6)


def test_what_the_four_say():
    real = gaussian(400, 4, 0)
    timid, wild, alike = (prdc(gaussian(400, 4, 1, scale), real) for scale in (0.3, 3.0, 1.0))
    assert timid.precision > 0.95 > 0.3 > timid.recall  # all believable, little of the variety
    assert timid.density > 1.2 > timid.coverage * 2
    assert wild.precision < 0.6 < wild.recall
    assert alike.precision > 0.9
    assert alike.density == pytest.approx(1, abs=0.1)
    assert alike.coverage == pytest.approx(1 - 2**-5, abs=0.03)  # Naeem et al. 2020, section 3.3


def test_one_picture_over_and_over_is_precise_and_recalls_nothing():
    real = gaussian(100, 5, 0)
    found = prdc(real[:1].expand(50, 5), real)
    assert found.precision == 1
    assert found.recall == 0.01  # that very picture


def test_blocks_change_nothing(monkeypatch):
    made, real = gaussian(130, 5, 0), gaussian(90, 5, 1)
    whole = prdc(made, real)
    monkeypatch.setattr(distribution, "BLOCK", 32)
    assert prdc(made, real) == whole


def test_more_pictures_than_neighbours_are_needed():
    with pytest.raises(ValueError, match="5 neighbours"):
        prdc(gaussian(5, 3, 0), gaussian(50, 3, 1))
