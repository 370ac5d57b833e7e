import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from diptych.metrics import distribution
from diptych.metrics.distribution import frechet_at_infinity, frechet_distance, kernel_distance


def gaussian(n, d, seed, shift=0.0, scale=1.0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=torch.float64) * scale + shift


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.4)])
def test_the_kernel_distance_equals_kid_of_torch_fidelity(shift, scale):
    one, other = gaussian(300, 40, 0, shift, scale), gaussian(300, 40, 1)
    theirs = kid_features_to_metric(one, other, kid_subsets=1, kid_subset_size=300, verbose=False)
    assert kernel_distance(one, other).value == pytest.approx(theirs[KEY_METRIC_KID_MEAN], abs=1e-12)


def test_kid_over_subsets_lies_within_our_interval():
    one, other = gaussian(400, 40, 0, 0.2), gaussian(500, 40, 1)
    theirs = kid_features_to_metric(one, other, kid_subsets=100, kid_subset_size=200, verbose=False)
    ours = kernel_distance(one, other)
    assert ours.low < theirs[KEY_METRIC_KID_MEAN] < ours.high


@pytest.mark.parametrize(("m", "n"), [(400, 400), (90, 60)])  # more rows than dimensions, and fewer
def test_the_frechet_distance_equals_fid_of_torch_fidelity(m, n):
    one, other = gaussian(m, 128, 0, 0.3, 1.2), gaussian(n, 128, 1)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(one), fid_features_to_statistics(other), verbose=False
    )["frechet_inception_distance"]
    assert frechet_distance(one, other) == pytest.approx(theirs, rel=1e-6)


def test_equal_distributions_have_no_kernel_distance_and_the_interval_says_so():
    # Of 60 pairs drawn from one distribution, the interval should miss 0 in about one in twenty, or fewer.
    distances = [kernel_distance(gaussian(80, 10, 2 * i), gaussian(50, 10, 2 * i + 1)) for i in range(60)]
    assert sum(d.low <= 0 <= d.high for d in distances) >= 55
    width = sum(d.high - d.low for d in distances) / 60
    assert abs(sum(d.value for d in distances) / 60) < width / 8
    assert min(d.value for d in distances) < 0  # unbiased, so not clipped at 0


def test_the_interval_covers_the_distance_of_different_distributions():
    true = kernel_distance(gaussian(4000, 6, 900, 0.4), gaussian(4000, 6, 901)).value
    distances = [kernel_distance(gaussian(100, 6, 2 * i, 0.4), gaussian(100, 6, 2 * i + 1)) for i in range(60)]
    assert (
        sum(d.low <= true <= d.high for d in distances) >= 51
    )  # 57 are expected: 60 pairs cannot measure it more exactly
    assert all(d.high - d.low < 3 * true for d in distances)  # and not wider than necessary


def test_the_block_size_changes_nothing(monkeypatch):
    one, other = gaussian(130, 12, 0, 0.1), gaussian(90, 12, 1)
    whole = kernel_distance(one, other)
    monkeypatch.setattr(distribution, "BLOCK_ROWS", 32)
    assert kernel_distance(one, other) == pytest.approx(whole, rel=1e-10)


def test_half_precision_features_are_accepted():
    one, other = gaussian(60, 12, 0), gaussian(60, 12, 1)
    exact = kernel_distance(one.half().double(), other.half().double())
    assert kernel_distance(one.half(), other.half()) == exact
    assert frechet_distance(one.half(), one.half()) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_few_pictures_is_biased_and_extrapolation_corrects_it():
    one, other = gaussian(2000, 48, 0), gaussian(2000, 48, 1)
    finite, extrapolated = frechet_distance(one, other), frechet_at_infinity(one, other)
    assert finite > 0.5  # the true distance is 0
    assert abs(extrapolated) < finite / 8
    shifted = frechet_at_infinity(one + 0.5, other)
    assert shifted == pytest.approx(48 * 0.25, rel=0.05)


def test_too_few_pictures_are_not_extrapolated():
    assert frechet_at_infinity(gaussian(1999, 4, 0), gaussian(2500, 4, 1)) is None
    assert frechet_at_infinity(gaussian(2000, 1000, 0), gaussian(2000, 1000, 1)) is None


def test_each_set_needs_two_pictures():
    assert kernel_distance(gaussian(2, 3, 0), gaussian(2, 3, 1)).low < 10
    for distance in (kernel_distance, frechet_distance):
        with pytest.raises(ValueError, match="at least two pictures in each set, not 1 and 5"):
            distance(gaussian(1, 3, 0), gaussian(5, 3, 1))
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        kernel_distance(torch.zeros(4), torch.zeros(4))
