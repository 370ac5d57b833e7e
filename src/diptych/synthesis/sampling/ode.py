"""Samplers: plain functions (field, x, times) -> x that integrate dx/dt = field(x, t)."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]


def heun(field: Field, x: Tensor, times: Tensor) -> Tensor:
    """Integrate with Heun's method, of second order (Karras et al. 2022, algorithm 1, without its noise).

    Parameters
    ----------
    field
        (x, t) -> dx/dt, both of the shape of ``x``; ``t`` is a scalar tensor.
    x
        The state at ``times[0]``.
    times
        (T + 1,) in the order of travel, rising or falling; two calls of ``field`` a step.

    Returns
    -------
    Tensor
        The state at ``times[-1]``.
    """
    for now, then in itertools.pairwise(times):
        slope = field(x, now)
        euler = x + (then - now) * slope
        x = x + (then - now) * 0.5 * (slope + field(euler, then))
    return x


def even_times(steps: int, *, reverse: bool = False) -> Tensor:
    """``steps`` equal steps from 0 to 1, or from 1 to 0."""
    times = torch.linspace(0, 1, steps + 1)
    return times.flip(0) if reverse else times
