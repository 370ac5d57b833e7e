"""Distances between two sets of pictures, as distances between the distributions of their features; pure functions.

Features are (N, D), one row per picture, of any float type and on any device. All is computed in float64, in blocks of
rows, so that 10,000 rows of 2,048 take a few hundred MB. Distances of different extractors cannot be compared.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from diptych.metrics.intervals import NORMAL_95

BLOCK_ROWS = 1024  # compared with all others at once
MIN_TO_EXTRAPOLATE = 2000  # pictures in each set; with fewer, the line through 1/N is unreliable
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of the pictures, at which the line is measured
_SUBSETS = 3  # at each share below 1, averaged


class Distance(NamedTuple):
    """A distance and its 95 % interval."""

    value: float
    low: float
    high: float


def kernel_distance(generated: Tensor, real: Tensor) -> Distance:
    """The squared maximum mean discrepancy, unbiased, with the cubic kernel (x·y/D + 1)³.

    Its expectation is 0 where both sets are drawn from one distribution, whatever their sizes; it may fall a little
    below. With Inception features this is KID; all rows are used at once instead of the mean over random subsets, which
    has the same expectation and more noise. The interval is normal, its variance the two-sample jackknife's: from the
    rows' mean kernels, exact and without resampling, and conservative (its expectation is never below the true one).

    Parameters
    ----------
    generated, real
        (M, D) and (N, D), at least two rows each.

    References
    ----------
    A. Gretton et al., "A kernel two-sample test", JMLR 2012, equation 3; M. Bińkowski et al., "Demystifying MMD GANs",
    ICLR 2018, section 4; B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 1981.
    """
    x, y = as_float64(generated), as_float64(real)
    m, n = len(x), len(y)
    if min(m, n) < 2:
        raise ValueError(f"A distance needs at least two pictures in each set, not {m} and {n}.")
    within_x, within_y = _kernel_sums(x, x, same=True)[0], _kernel_sums(y, y, same=True)[0]
    across_x, across_y = _kernel_sums(x, y, same=False)
    mean_x, mean_y = within_x.sum() / (m * (m - 1)), within_y.sum() / (n * (n - 1))
    mean_across = across_x.sum() / (m * n)
    value = float(mean_x + mean_y - 2 * mean_across)
    # Leaving out a row changes the sums by the row's own: all leave-one-out values at once.
    without_x = _leave_one_out(within_x, m) + mean_y - 2 * (across_x.sum() - across_x) / (max(m - 1, 1) * n)
    without_y = mean_x + _leave_one_out(within_y, n) - 2 * (across_y.sum() - across_y) / (m * max(n - 1, 1))
    variance = sum(float((w - w.mean()).square().sum()) * (len(w) - 1) / len(w) for w in (without_x, without_y))
    half = NORMAL_95 * math.sqrt(variance)
    return Distance(value, value - half, value + half)


def kernel_variance(real: Tensor) -> float:
    """The kernel distance to one of a set's own pictures repeated: E k(x, x) - E k(x, x') over its (N, D) features.

    The variance of the pictures in the kernel's feature space, unbiased: a unit for :func:`kernel_distance` that does
    not depend on the number of pictures.
    """
    x = as_float64(real)
    within = _kernel_sums(x, x, same=True)[0]
    own = (x.square().sum(1) / x.shape[1] + 1) ** 3
    return float(own.mean() - within.sum() / (len(x) * (len(x) - 1)))


def frechet_distance(generated: Tensor, real: Tensor) -> float:
    """|μ - ν|² + tr(Σ + Ω - 2 (ΣΩ)^½), of the means and covariances of two sets: 0 or more.

    The Fréchet distance of two Gaussians (Dowson & Landau 1982; Heusel et al. 2017, equation 6); with Inception
    features it is FID. Biased upwards, the more so the fewer pictures: see :func:`frechet_at_infinity`. tr (ΣΩ)^½
    is the sum of the singular values of A Bᵀ, where AᵀA = Σ and BᵀB = Ω: no matrix root is taken.
    """
    x, y = as_float64(generated), as_float64(real)
    if min(len(x), len(y)) < 2:
        raise ValueError(f"A distance needs at least two pictures in each set, not {len(x)} and {len(y)}.")
    a, b = _covariance_factor(x), _covariance_factor(y)
    shift = (x.mean(0) - y.mean(0)).square().sum()
    overlap = torch.linalg.svdvals(a @ b.T).sum()
    return max(0.0, float(shift + a.square().sum() + b.square().sum() - 2 * overlap))


def frechet_at_infinity(generated: Tensor, real: Tensor, *, seed: int = 0) -> float | None:
    """The Fréchet distance extrapolated to infinitely many pictures: it is nearly linear in 1/N, evaluated at 0.

    Measured on random shares of both sets, with a least-squares line through (1/share, distance); about an unbiased
    estimate, so it may fall below 0 (Chong & Forsyth, "Effectively unbiased FID and Inception score", CVPR 2020, who
    vary only the number of generated pictures). ``None`` with fewer than 2,000 pictures in either set, or so few that
    half of them do not span the D dimensions: the line is straight only from there.
    """
    smaller = min(len(generated), len(real))
    if smaller < max(MIN_TO_EXTRAPOLATE, 2 * generated.shape[1] + 2):
        return None
    x, y = as_float64(generated), as_float64(real)
    generator = torch.Generator().manual_seed(seed)
    means = []
    for share in _SHARES:
        distances = [
            frechet_distance(_random_share(x, share, generator), _random_share(y, share, generator))
            for _ in range(1 if share == 1 else _SUBSETS)
        ]
        means.append(sum(distances) / len(distances))
    inverse, distance = 1 / torch.tensor(_SHARES, dtype=torch.float64), torch.tensor(means, dtype=torch.float64)
    centred = inverse - inverse.mean()
    slope = (centred * distance).sum() / centred.square().sum()
    return float(distance.mean() - slope * inverse.mean())


def as_float64(features: Tensor) -> Tensor:
    """The features as float64; on the CPU where their device has none."""
    if features.ndim != 2:
        raise ValueError(f"Features are (N, D), not {tuple(features.shape)}.")
    return (features.cpu() if features.device.type == "mps" else features).double()


def row_blocks(rows: int) -> Iterator[slice]:
    """The rows in blocks of ``BLOCK_ROWS``."""
    for start in range(0, rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))


def _kernel_sums(one: Tensor, other: Tensor, *, same: bool) -> tuple[Tensor, Tensor]:
    """The sums of each row's kernels with all rows of the other set; ``same``: one set, without the row itself."""
    rows, columns = one.new_zeros(len(one)), one.new_zeros(len(other))
    for block in row_blocks(len(one)):
        kernel = (one[block] @ other.T / one.shape[1] + 1) ** 3
        if same:
            kernel[:, block].fill_diagonal_(0)
        rows[block] = kernel.sum(1)
        columns += kernel.sum(0)
    return rows, columns


def _leave_one_out(sums: Tensor, n: int) -> Tensor:
    """Mean kernel among n rows without each in turn; of two rows none remain to compare, and their own is taken."""
    return (sums.sum() - 2 * sums) / ((n - 1) * (n - 2)) if n > 2 else (sums.sum() / 2).expand(n)


def _covariance_factor(features: Tensor) -> Tensor:
    """A with AᵀA the covariance, and no more than D rows."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    triangle: Tensor = torch.linalg.qr(centred, mode="r").R
    return triangle


def _random_share(features: Tensor, share: float, generator: torch.Generator) -> Tensor:
    if share == 1:
        return features
    rows = torch.randperm(len(features), generator=generator)[: round(len(features) * share)]
    return features[rows.to(features.device)]
