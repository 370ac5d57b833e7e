"""Learning-rate schedules: functions of progress (0..1, the share of the run that is done) to a factor (0..1).

Progress is counted in pictures seen, so that it does not depend on the batch size.
"""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def cosine(warmup: float = 0.0, floor: float = 0.0) -> Schedule:
    """Rise linearly over the first ``warmup`` of the run, then fall along half a cosine to ``floor``."""

    def factor(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
        fall = (progress - warmup) / max(1 - warmup, 1e-9)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(fall, 1.0)))

    return factor


def triangle(peak: float = 0.25, floor: float = 0.0) -> Schedule:
    """Rise linearly until ``peak``, then fall linearly to ``floor`` (the one-cycle shape without its tail)."""

    def factor(progress: float) -> float:
        if progress < peak:
            return floor + (1 - floor) * progress / peak
        return floor + (1 - floor) * max(1 - progress, 0.0) / max(1 - peak, 1e-9)

    return factor


def constant_then_decay(hold: float = 0.5, warmup: float = 0.0, floor: float = 0.0) -> Schedule:
    """Stay at 1 until ``hold`` of the run is done, then fall linearly to ``floor``."""

    def factor(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
        return floor + (1 - floor) * min(1.0, max(1 - progress, 0.0) / max(1 - hold, 1e-9))

    return factor
