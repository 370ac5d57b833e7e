"""Editing with a flow: pictures integrated part of the way back to noise, and holes filled along the trajectory."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from diptych.synthesis.sampling import seeding
from diptych.synthesis.sampling.ode import Field, heun


def integrate_forward(field: Field, x: Tensor, times: Tensor) -> Tensor:
    """Integrate from ``times[0]`` to ``times[-1]``; the last step goes straight to the expected picture."""
    *steps, end = times
    x = heun(field, x, torch.stack(steps))
    picture: Tensor = x + (end - steps[-1]) * field(x, steps[-1])
    return picture


def partial_times(steps: int, start: float) -> Tensor:
    """Times from ``start`` to 1, spaced as ``steps`` steps from 0 to 1 are; two steps at least."""
    return torch.linspace(start, 1, 1 + max(2, round(steps * (1 - start))))


def inpaint_trajectory(
    field: Field, pictures: Tensor, hole: Tensor, times: Tensor, noise: Callable[[int], Tensor]
) -> Tensor:
    """Generate the content of the hole, given the rest (Martin et al. 2025, "PnP-Flow", algorithm 3, for a mask).

    At each time fresh noise is mixed into the current picture, and the expected picture replaces the hole:
    x ← hole·x̂((1 − t)·ε + t·x, t) + (1 − hole)·x, with x̂(x_t, t) = x_t + (1 − t)·v(x_t, t). Fresh noise at every time
    removes content that does not match the known part; continuing along one path would not.

    Parameters
    ----------
    pictures, hole
        (B, 3, S, S) in -1..1, and (B, 1, S, S) bool.
    times
        (T,) in 0..1, rising.
    noise
        A number -> noise of the pictures' shape; each number gives other noise.
    """
    x = pictures
    for number, time in enumerate(times):
        noised = (1 - time) * noise(number) + time * x
        x = torch.where(hole, noised + (1 - time) * field(noised, time), pictures)
    return x


def numbered_noise(seeds: Sequence[int], shape: Sequence[int], device: torch.device) -> Callable[[int], Tensor]:
    """Noise by number, for pictures of these seeds; number 0 is the noise that :meth:`sample` uses for them."""

    def noise(number: int) -> Tensor:
        numbered = [_derived_seed(seed, number) if number else seed for seed in seeds]
        return seeding.seeded_noise(numbered, shape).to(device)

    return noise


def _derived_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> np.uint64(1))
