"""Section 13 of docs/mathematics.md, scoring generated pictures, against direct loops and closed forms."""

import math

import pytest
import torch
from torch import Tensor

from diptych.interplay.sample_filter import log_odds
from diptych.metrics.distribution import frechet_at_infinity, frechet_distance, kernel_distance, kernel_variance
from diptych.metrics.prdc import prdc


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def kernel(x: list[float], y: list[float]) -> float:
    return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3


def discrepancy(xs: list[list[float]], ys: list[list[float]]) -> float:
    """The unbiased estimate."""
    m, n = len(xs), len(ys)
    within_x = sum(kernel(xs[i], xs[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_y = sum(kernel(ys[i], ys[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_x + within_y - 2 * sum(kernel(x, y) for x in xs for y in ys) / (m * n)


def test_the_kernel_distance_by_loops() -> None:
    generated, real = torch.randn(9, 4).double(), torch.randn(7, 4).double() + 0.5
    assert kernel_distance(generated, real).value == pytest.approx(discrepancy(generated.tolist(), real.tolist()))


def test_the_kernel_variance_is_the_distance_to_one_picture_repeated() -> None:
    real = torch.randn(7, 4).double()
    ys = real.tolist()
    own = sum(kernel(y, y) for y in ys) / 7
    others = sum(kernel(ys[i], ys[j]) for i in range(7) for j in range(7) if i != j) / 42
    assert kernel_variance(real) == pytest.approx(own - others)
    repeated = [kernel_distance(y.expand(3, 4), real).value for y in real]
    # The picture is also among those that it is compared with, which brings it nearer by 2 in N.
    assert sum(repeated) / 7 == pytest.approx(kernel_variance(real) * (1 - 2 / 7))


def test_the_jackknife_leaves_out_each_row_in_turn() -> None:
    generated, real = torch.randn(6, 3).double(), torch.randn(5, 3).double() + 0.5
    xs, ys = generated.tolist(), real.tolist()
    variance = 0.0
    for without in (
        [discrepancy(xs[:i] + xs[i + 1 :], ys) for i in range(len(xs))],
        [discrepancy(xs, ys[:j] + ys[j + 1 :]) for j in range(len(ys))],
    ):
        mean = sum(without) / len(without)
        variance += (len(without) - 1) / len(without) * sum((theta - mean) ** 2 for theta in without)
    distance = kernel_distance(generated, real)
    assert distance.high - distance.value == pytest.approx(1.959964 * math.sqrt(variance))
    assert distance.value - distance.low == pytest.approx(1.959964 * math.sqrt(variance))


def with_moments(n: int, mean: Tensor, deviations: Tensor) -> Tensor:
    """Rows whose mean and (diagonal) covariance are exactly these."""
    rows = torch.randn(n, len(mean)).double()
    rows = rows - rows.mean(0)
    white = rows @ torch.linalg.inv(torch.linalg.cholesky(rows.T @ rows / (n - 1))).T
    return white * deviations + mean


def test_the_frechet_distance_of_gaussians_in_closed_form() -> None:
    # For covariances that commute it is |μ - ν|² + |σ - ω|².
    mean, deviations = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.5, 2.0, 1.0]).double()
    other, others = torch.zeros(3).double(), torch.tensor([1.0, 1.0, 3.0]).double()
    expected = (mean - other).square().sum() + (deviations - others).square().sum()
    distance = frechet_distance(with_moments(40, mean, deviations), with_moments(25, other, others))
    assert distance == pytest.approx(expected.item())
    # A point has no covariance: the shift of the mean and the other's trace remain.
    point = torch.ones(5, 3).double()
    assert frechet_distance(point, with_moments(40, mean, deviations)) == pytest.approx(
        ((mean - 1).square().sum() + deviations.square().sum()).item()
    )


def test_extrapolation_removes_the_bias_of_one_over_n() -> None:
    # Two samples of one Gaussian: the bias is near c/n, so half as many rows double it.
    generated, real = torch.randn(2000, 24).double(), torch.randn(2000, 24).double()
    whole, half = frechet_distance(generated, real), frechet_distance(generated[:1000], real[:1000])
    assert half / whole == pytest.approx(2, rel=0.15)
    assert frechet_at_infinity(generated, real) == pytest.approx(2 * whole - half, abs=0.2 * whole)


def test_precision_recall_density_and_coverage_by_loops() -> None:
    generated, real, k = torch.randn(12, 2).double(), torch.randn(10, 2).double() * 1.5, 3

    def radius(points: Tensor, i: int) -> float:
        return sorted(math.dist(points[i].tolist(), q.tolist()) for j, q in enumerate(points) if j != i)[k - 1]

    distances = [[math.dist(x.tolist(), y.tolist()) for y in real] for x in generated]
    in_real = [[distances[j][i] <= radius(real, i) for i in range(10)] for j in range(12)]
    in_generated = [[distances[j][i] <= radius(generated, j) for j in range(12)] for i in range(10)]
    scores = prdc(generated, real, k=k)
    assert scores.precision == pytest.approx(sum(map(any, in_real)) / 12)
    assert scores.recall == pytest.approx(sum(map(any, in_generated)) / 10)
    assert scores.density == pytest.approx(sum(map(sum, in_real)) / (k * 12))
    assert scores.coverage == pytest.approx(sum(map(any, zip(*in_real, strict=True))) / 10)


def test_log_odds_are_those_of_the_softmax_also_where_it_rounds_to_1() -> None:
    logits, labels = torch.randn(20, 4).double(), torch.arange(20) % 4
    for row, label, value in zip(logits.tolist(), labels.tolist(), log_odds(logits, labels).tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        assert value == pytest.approx(math.log(p / (1 - p)))
    assert float(log_odds(torch.tensor([[60.0, 0.0]]), torch.tensor([0]))) == 60
