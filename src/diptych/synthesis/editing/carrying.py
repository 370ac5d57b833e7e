"""A flow's own ways of editing: pictures carried part of the way back to noise, and holes filled on the way there."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from diptych.synthesis import drawing
from diptych.synthesis.samplers import Field, heun

ROUNDS = 4  # times that each step is taken, from anew noised pictures: so the made part comes to suit the given one


def ahead(field: Field, x: Tensor, times: Tensor) -> Tensor:
    """From ``times[0]`` to ``times[-1]``, the last step straight to the picture that is expected."""
    *steps, end = times
    x = heun(field, x, torch.stack(steps))
    reached: Tensor = x + (end - steps[-1]) * field(x, steps[-1])
    return reached


def part_of_the_way(steps: int, start: float) -> Tensor:
    """Times from ``start`` to 1, as far apart as ``steps`` from 0 to 1 are, and two steps at least."""
    return torch.linspace(start, 1, 1 + max(2, round(steps * (1 - start))))


def noised_again(x: Tensor, noise: Tensor, now: Tensor, before: Tensor) -> Tensor:
    """A point of the path at time ``now``, with so much noise added that it is one of the earlier time ``before``.

    On the line x_t = (1 − t)·ε + t·x, the picture's share is to fall to s/t of itself, and the variance of the noise to
    rise to (1 − s)²: x_s = (s/t)·x_t + √((1 − s)² − (s/t)²(1 − t)²)·ε'. It is the backward jump of Lugmayr et al. 2022,
    "RePaint", section 4.2, on this path.
    """
    kept = before / now
    added = ((1 - before) ** 2 - kept**2 * (1 - now) ** 2).clamp(min=0).sqrt()
    return kept * x + added * noise


def filled(
    field: Field, pictures: Tensor, hole: Tensor, times: Tensor, noise: Callable[[int], Tensor], rounds: int = ROUNDS
) -> Tensor:
    """Make what is in the hole, given the rest (Lugmayr et al. 2022, "RePaint", algorithm 1).

    At each time what is known is put in its place, with the noise of that time; each step is taken ``rounds`` times.

    Parameters
    ----------
    pictures, hole
        (B, 3, S, S) in -1..1, and (B, 1, S, S) bool.
    times
        (T + 1,) from 0 to 1.
    noise
        A number -> noise of the pictures' shape; another number, other noise.
    """
    x, drawn = noise(0), 1
    for now, then in itertools.pairwise(times):
        last = bool(then == times[-1])
        for again in range(rounds):
            known = (1 - now) * noise(drawn) + now * pictures
            x = torch.where(hole, x, known)
            reached = x + (then - now) * field(x, now)
            if not last:
                reached = x + (then - now) * 0.5 * (field(x, now) + field(reached, then))
            if again < rounds - 1:
                reached = noised_again(reached, noise(drawn + 1), then, now)
            x, drawn = reached, drawn + 2
    return x


def noise_of(seeds: Sequence[int], shape: Sequence[int], device: torch.device) -> Callable[[int], Tensor]:
    """Noise by number, for pictures of these seeds: number 0 is what :meth:`sample` makes their pictures of."""

    def noise(number: int) -> Tensor:
        chosen = [seed if not number else _mixed(seed, number) for seed in seeds]
        return drawing.noise(chosen, shape).to(device)

    return noise


def _mixed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> np.uint64(1))
