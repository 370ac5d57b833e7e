"""How far apart two sets of pictures are, as distances between their features; pure functions.

Features are (N, D), one row a picture, of any float type and on any device. All is computed in float64, in blocks of
rows, so that 10,000 rows of 2,048 take a few hundred MB. Distances of different extractors cannot be compared.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from diptych.metrics.intervals import NORMAL_95

BLOCK = 1024  # rows compared at a time with all others
FEWEST_TO_EXTRAPOLATE = 2000  # pictures a side; with fewer the line through 1/N is a guess
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of the pictures, at which the line is measured
_DRAWS = 3  # at each share below 1, averaged


class Distance(NamedTuple):
    """A distance and its 95 % interval."""

    value: float
    low: float
    high: float


def kernel_distance(made: Tensor, real: Tensor) -> Distance:
    """The squared maximum mean discrepancy, unbiased, with the cubic kernel (x·y/D + 1)³.

    Expected 0 where both sets are drawn from one distribution, whatever their sizes; it may fall a little below.
    With Inception features this is KID; all rows are used at once instead of the mean over random subsets, which has
    the same expectation and more noise. The interval is normal, its variance the two-sample jackknife's: from the
    rows' mean kernels, exact and without resampling, and on the careful side (never expected below the truth).

    Parameters
    ----------
    made, real
        (M, D) and (N, D), at least two rows each.

    References
    ----------
    A. Gretton et al., "A kernel two-sample test", JMLR 2012, equation 3; M. Bińkowski et al., "Demystifying MMD GANs",
    ICLR 2018, section 4; B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 1981.
    """
    made, real = as_float64(made), as_float64(real)
    m, n = len(made), len(real)
    if min(m, n) < 2:
        raise ValueError(f"A distance needs two pictures a side, not {m} and {n}.")
    among_made, among_real = _kernel_sums(made, made, own=True)[0], _kernel_sums(real, real, own=True)[0]
    of_made, of_real = _kernel_sums(made, real, own=False)
    mean_made, mean_real = among_made.sum() / (m * (m - 1)), among_real.sum() / (n * (n - 1))
    between = of_made.sum() / (m * n)
    value = float(mean_made + mean_real - 2 * between)
    # Leaving out a row changes the sums by its own: all leave-one-out values at once.
    without_made = _leave_out(among_made, m) + mean_real - 2 * (of_made.sum() - of_made) / (max(m - 1, 1) * n)
    without_real = mean_made + _leave_out(among_real, n) - 2 * (of_real.sum() - of_real) / (m * max(n - 1, 1))
    variance = sum(float((w - w.mean()).square().sum()) * (len(w) - 1) / len(w) for w in (without_made, without_real))
    half = NORMAL_95 * math.sqrt(variance)
    return Distance(value, value - half, value + half)


def frechet_distance(made: Tensor, real: Tensor) -> float:
    """|μ - ν|² + tr(Σ + Ω - 2 (ΣΩ)^½), of the means and covariances of two sets: 0 or more.

    The Fréchet distance of two Gaussians (Dowson & Landau 1982; Heusel et al. 2017, equation 6); with Inception
    features it is FID. Biased upwards, the more so the fewer pictures: see :func:`frechet_at_infinity`. tr (ΣΩ)^½
    is the sum of the singular values of A Bᵀ, where AᵀA = Σ and BᵀB = Ω: no root of a matrix is taken.
    """
    made, real = as_float64(made), as_float64(real)
    if min(len(made), len(real)) < 2:
        raise ValueError(f"A distance needs two pictures a side, not {len(made)} and {len(real)}.")
    one, other = _factor(made), _factor(real)
    shift = (made.mean(0) - real.mean(0)).square().sum()
    overlap = torch.linalg.svdvals(one @ other.T).sum()
    return max(0.0, float(shift + one.square().sum() + other.square().sum() - 2 * overlap))


def frechet_at_infinity(made: Tensor, real: Tensor, *, seed: int = 0) -> float | None:
    """The Fréchet distance that endless pictures would show: its value is nearly linear in 1/N, read off at 0.

    Measured on random shares of both sets, with a least-squares line through (1/share, distance); about an unbiased
    estimate, so it may fall below 0 (Chong & Forsyth, "Effectively unbiased FID and Inception score", CVPR 2020, who
    let only the number of made pictures grow). ``None`` with fewer than 2,000 pictures a side, or so few that half of
    them do not fill the D dimensions: the line is straight only from there.
    """
    fewest = min(len(made), len(real))
    if fewest < max(FEWEST_TO_EXTRAPOLATE, 2 * made.shape[1] + 2):
        return None
    made, real = as_float64(made), as_float64(real)
    draw = torch.Generator().manual_seed(seed)
    points = []
    for share in _SHARES:
        values = [
            frechet_distance(_part(made, share, draw), _part(real, share, draw))
            for _ in range(1 if share == 1 else _DRAWS)
        ]
        points.append(sum(values) / len(values))
    inverse, distance = 1 / torch.tensor(_SHARES, dtype=torch.float64), torch.tensor(points, dtype=torch.float64)
    away = inverse - inverse.mean()
    slope = (away * distance).sum() / away.square().sum()
    return float(distance.mean() - slope * inverse.mean())


def as_float64(features: Tensor) -> Tensor:
    """The features as float64, on the processor where their device has none."""
    if features.ndim != 2:
        raise ValueError(f"Features are (N, D), not {tuple(features.shape)}.")
    return (features.cpu() if features.device.type == "mps" else features).double()


def blocks(rows: int) -> Iterator[slice]:
    """The rows, so many at a time."""
    for start in range(0, rows, BLOCK):
        yield slice(start, min(start + BLOCK, rows))


def _kernel_sums(one: Tensor, other: Tensor, *, own: bool) -> tuple[Tensor, Tensor]:
    """Of each row, the sum of its kernels with all rows of the other set; ``own``: without itself."""
    rows, columns = one.new_zeros(len(one)), one.new_zeros(len(other))
    for some in blocks(len(one)):
        kernel = (one[some] @ other.T / one.shape[1] + 1) ** 3
        if own:
            kernel[:, some].fill_diagonal_(0)
        rows[some] = kernel.sum(1)
        columns += kernel.sum(0)
    return rows, columns


def _leave_out(sums: Tensor, n: int) -> Tensor:
    """Mean kernel among n rows without each in turn; of two rows, none are left to compare, and their own stands."""
    return (sums.sum() - 2 * sums) / ((n - 1) * (n - 2)) if n > 2 else (sums.sum() / 2).expand(n)


def _factor(features: Tensor) -> Tensor:
    """A with AᵀA the covariance, and no more than D rows."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    triangle: Tensor = torch.linalg.qr(centred, mode="r").R
    return triangle


def _part(features: Tensor, share: float, draw: torch.Generator) -> Tensor:
    if share == 1:
        return features
    rows = torch.randperm(len(features), generator=draw)[: round(len(features) * share)]
    return features[rows.to(features.device)]
