"""How true to life and how varied made pictures are, from nearest neighbours among features; pure functions."""

from typing import NamedTuple

import torch
from torch import Tensor

from diptych.metrics.distribution import as_float64, blocks

NEIGHBOURS = 5
_ROUNDING = 1e-12  # of the rows' squared lengths: squared distances below it are rounding of equal rows


class PRDC(NamedTuple):
    """What :func:`prdc` finds.

    Attributes
    ----------
    precision
        Share of the made pictures that lie where real ones are, 0..1.
    recall
        Share of the real pictures that lie where made ones are, 0..1.
    density
        How many real pictures' neighbourhoods a made picture lies in, over ``k``; 1 expected where both are drawn
        alike, more where made pictures crowd in the midst.
    coverage
        Share of the real pictures with a made one in their neighbourhood, 0..1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(made: Tensor, real: Tensor, *, k: int = NEIGHBOURS) -> PRDC:
    """Precision, recall, density and coverage of made against real pictures.

    A picture's neighbourhood is the ball that reaches to its k-th nearest of its own set. All four depend on the
    numbers of pictures and on the features, and even two samples of one distribution fall short of 1: compare only at
    equal numbers, beside what real pictures reach against other real ones.

    Parameters
    ----------
    made, real
        (M, D) and (N, D) features, more than k rows each; any float type, computed in float64.

    References
    ----------
    T. Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019,
    equations 1 and 2; M. F. Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020,
    equations 3 and 4, who set k = 5.
    """
    made, real = as_float64(made), as_float64(real)
    if min(len(made), len(real)) <= k:
        raise ValueError(f"{k} neighbours need more pictures than that a side, not {len(made)} and {len(real)}.")
    made_reach, real_reach = _reach(made, k), _reach(real, k)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = recalled.clone()
    precise = inside = 0
    for some in blocks(len(made)):
        distances = squared_distances(made[some], real)
        within = distances <= real_reach
        precise += int(within.any(1).sum())
        inside += int(within.sum())
        covered |= within.any(0)
        recalled |= (distances <= made_reach[some, None]).any(0)
    m = len(made)
    return PRDC(precise / m, float(recalled.double().mean()), inside / (k * m), float(covered.double().mean()))


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """(M, N) squared Euclidean distances of float64 rows; exactly 0 between equal ones."""
    lengths = one.square().sum(1)[:, None] + other.square().sum(1)
    distances = lengths - 2 * one @ other.T
    return distances.masked_fill_(distances <= _ROUNDING * lengths, 0)


def _reach(features: Tensor, k: int) -> Tensor:
    """Of each row, the squared distance of its k-th nearest other."""
    reach = features.new_empty(len(features))
    for some in blocks(len(features)):
        distances = squared_distances(features[some], features)
        distances[:, some].fill_diagonal_(torch.inf)
        reach[some] = distances.kthvalue(k, dim=1).values
    return reach
