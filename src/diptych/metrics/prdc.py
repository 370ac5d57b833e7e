"""Fidelity and diversity of generated pictures from nearest neighbours among features; pure functions."""

from typing import NamedTuple

import torch
from torch import Tensor

from diptych.metrics.distribution import as_float64, row_blocks

NEIGHBOURS = 5
_ROUNDING = 1e-12  # of the rows' squared lengths: smaller squared distances are rounding errors of equal rows


class PRDC(NamedTuple):
    """Result of :func:`prdc`.

    Attributes
    ----------
    precision
        Share of the generated pictures that lie in the neighbourhood of a real one, 0..1.
    recall
        Share of the real pictures that lie in the neighbourhood of a generated one, 0..1.
    density
        In how many real pictures' neighbourhoods a generated picture lies on average, over ``k``; 1 is expected where
        both have one distribution, more where generated pictures crowd in its centre.
    coverage
        Share of the real pictures with a generated one in their neighbourhood, 0..1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(generated: Tensor, real: Tensor, *, k: int = NEIGHBOURS) -> PRDC:
    """Precision, recall, density and coverage of generated against real pictures.

    A picture's neighbourhood is the ball that reaches to its k-th nearest neighbour of its own set. All four depend on
    the numbers of pictures and on the features, and even two samples of one distribution stay below 1: compare only at
    equal numbers, and with the values of real pictures against other real ones.

    Parameters
    ----------
    generated, real
        (M, D) and (N, D) features, more than k rows each; any float type, computed in float64.

    References
    ----------
    T. Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019,
    equations 1 and 2; M. F. Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020,
    equations 3 and 4, who set k = 5.
    """
    generated, real = as_float64(generated), as_float64(real)
    if min(len(generated), len(real)) <= k:
        raise ValueError(
            f"{k} neighbours need more than {k} pictures in each set, not {len(generated)} and {len(real)}."
        )
    generated_radius, real_radius = _squared_radii(generated, k), _squared_radii(real, k)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = recalled.clone()
    precise = inside = 0
    for rows in row_blocks(len(generated)):
        distances = squared_distances(generated[rows], real)
        within = distances <= real_radius
        precise += int(within.any(1).sum())
        inside += int(within.sum())
        covered |= within.any(0)
        recalled |= (distances <= generated_radius[rows, None]).any(0)
    m = len(generated)
    return PRDC(precise / m, float(recalled.double().mean()), inside / (k * m), float(covered.double().mean()))


def covered_rows(generated: Tensor, real: Tensor, *, k: int = NEIGHBOURS) -> Tensor:
    """(N,) bool: which real pictures have a generated one in their neighbourhood; their share is the coverage.

    Parameters
    ----------
    generated, real
        As in :func:`prdc`.
    """
    generated, real = as_float64(generated), as_float64(real)
    radius = _squared_radii(real, k)
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for rows in row_blocks(len(generated)):
        covered |= (squared_distances(generated[rows], real) <= radius).any(0)
    return covered


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """(M, N) squared Euclidean distances of float64 rows; exactly 0 between equal ones."""
    lengths = one.square().sum(1)[:, None] + other.square().sum(1)
    distances = lengths - 2 * one @ other.T
    return distances.masked_fill_(distances <= _ROUNDING * lengths, 0)


def _squared_radii(features: Tensor, k: int) -> Tensor:
    """For each row, the squared distance of its k-th nearest other row."""
    radii = features.new_empty(len(features))
    for rows in row_blocks(len(features)):
        distances = squared_distances(features[rows], features)
        distances[:, rows].fill_diagonal_(torch.inf)
        radii[rows] = distances.kthvalue(k, dim=1).values
    return radii
