"""95 % intervals of scores, so that no score is reported without its uncertainty."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

NORMAL_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def wilson_interval(hits: float, n: float, z: float = NORMAL_95) -> tuple[float, float]:
    """Wilson's interval (low, high) of a share ``hits / n``, valid at small n and near 0 and 1 (Wilson 1927).

    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n); (0, 1) for n = 0.
    """
    if n == 0:
        return 0.0, 1.0
    share, slack = hits / n, z * z / n
    centre = share + slack / 2
    half = z * math.sqrt(share * (1 - share) / n + slack / (4 * n))
    # Exactly 0 or 1 at no hits or all hits, which rounding would miss by an ulp.
    low = (centre - half) / (1 + slack) if hits > 0 else 0.0
    high = (centre + half) / (1 + slack) if hits < n else 1.0
    return low, high


def clopper_pearson_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval (low, high) of a share ``hits / n`` (Clopper & Pearson 1934): it holds at any n and share.

    Quantiles of Beta(hits, n − hits + 1) and Beta(hits + 1, n − hits). Wider than Wilson's, so that nothing is claimed
    of rare events by an approximation; (0, 1) for n = 0.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def difference_interval(hits: int, n: int, other_hits: int, other_n: int, z: float = NORMAL_95) -> tuple[float, float]:
    """Interval (low, high) of the difference of two shares, ``hits / n - other_hits / other_n``.

    From the shares' own Wilson intervals (l, u) and (l', u'): d - √((p - l)² + (u' - p')²) to
    d + √((u - p)² + (p' - l')²) (Newcombe 1998, method 10).
    """
    share, other = hits / n, other_hits / other_n
    (low, high), (other_low, other_high) = wilson_interval(hits, n, z), wilson_interval(other_hits, other_n, z)
    gap = share - other
    return gap - math.hypot(share - low, other_high - other), gap + math.hypot(high - share, other - other_low)


def bootstrap_interval(
    score: Callable[[Tensor], float],
    n: int,
    *,
    rounds: int = 200,
    level: float = 0.95,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> tuple[float, float]:
    """Percentile interval (low, high) of ``score(rows)`` over ``rounds`` resamples of n rows (Efron 1979).

    ``score`` takes (n,) int64 row numbers drawn with replacement; the same seed gives the same interval. The mean
    excess of the resamples over the score itself is subtracted from both ends: resampling inflates scores that noise
    inflates, such as the calibration error, once more, and they would lie below their own interval. A resample may
    lack a class, which shifts the ends the other way; so the interval ends at the score where it would leave it out,
    and at the bounds that the score has.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = torch.tensor(
        [score(torch.randint(n, (n,), generator=generator)) for _ in range(rounds)], dtype=torch.float64
    )
    value = score(torch.arange(n))
    excess = scores.mean() - value
    tail = (1 - level) / 2
    ends = scores.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)) - excess
    low, high = ends.tolist()
    return min(max(low, bounds[0]), value), max(min(high, bounds[1]), value)
