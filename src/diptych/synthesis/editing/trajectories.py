"""A flow's own ways of editing: pictures carried part of the way back to noise, and holes filled on the way."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from diptych.synthesis.sampling import seeding
from diptych.synthesis.sampling.ode import Field, heun


def integrate_forward(field: Field, x: Tensor, times: Tensor) -> Tensor:
    """From ``times[0]`` to ``times[-1]``, the last step straight to the picture that is expected."""
    *steps, end = times
    x = heun(field, x, torch.stack(steps))
    reached: Tensor = x + (end - steps[-1]) * field(x, steps[-1])
    return reached


def partial_times(steps: int, start: float) -> Tensor:
    """Times from ``start`` to 1, as far apart as ``steps`` from 0 to 1 are, and two steps at least."""
    return torch.linspace(start, 1, 1 + max(2, round(steps * (1 - start))))


def inpaint_trajectory(
    field: Field, pictures: Tensor, hole: Tensor, times: Tensor, noise: Callable[[int], Tensor]
) -> Tensor:
    """Make what is in the hole, given the rest (Martin et al. 2025, "PnP-Flow", algorithm 3, for a mask).

    At each time the picture as it stands is noised anew, and the picture that is expected of it takes its place in the
    hole: x ← hole·x̂((1 − t)·ε + t·x, t) + (1 − hole)·x, with x̂(x_t, t) = x_t + (1 − t)·v(x_t, t). New noise at
    every time washes out what does not suit the given part, as going on along one path would not.

    Parameters
    ----------
    pictures, hole
        (B, 3, S, S) in -1..1, and (B, 1, S, S) bool.
    times
        (T,) in 0..1, rising.
    noise
        A number -> noise of the pictures' shape; another number, other noise.
    """
    x = pictures
    for number, time in enumerate(times):
        noised = (1 - time) * noise(number) + time * x
        x = torch.where(hole, noised + (1 - time) * field(noised, time), pictures)
    return x


def numbered_noise(seeds: Sequence[int], shape: Sequence[int], device: torch.device) -> Callable[[int], Tensor]:
    """Noise by number, for pictures of these seeds: number 0 is what :meth:`sample` makes their pictures of."""

    def noise(number: int) -> Tensor:
        chosen = [seed if not number else _mixed(seed, number) for seed in seeds]
        return seeding.seeded_noise(chosen, shape).to(device)

    return noise


def _mixed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> np.uint64(1))
