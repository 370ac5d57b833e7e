"""Easy consistency tuning (Geng et al. 2025, "Consistency models made easy"): pictures in one call or two.

A trained flow predicts the mean of all pictures that may lie behind a noisy one. Tuned, it predicts the one picture in
which the trajectory through that point ends: at two points of one trajectory it must predict the same picture. At first
the second point is the trajectory's end; then the two come ever closer.

The step from the first point to the second is the flow's own, guided to the picture's class as in its sampling
(consistency distillation, Song et al. 2023; guided, Luo et al. 2023, "Latent consistency models"), so that few calls
generate the pictures that the flow generates in many. The schedule and the weights are those of easy tuning.

The paper counts time as the standard deviation of noise added to the picture; here a point is
x_t = (1 − t)·noise + t·x, so it is the share of noise, 1 − t, that is halved again and again.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from diptych.synthesis.flow_matching import MIN_REMAINING_TIME, Velocity, interpolate, predicted_velocity
from diptych.synthesis.sampling.ode import Field

STEEPNESS = 8.0  # how much farther apart the points are where little noise is left (the paper's k)
SECOND_CALL_TIME = 0.55  # the paper's σ of 0.821 is this ratio of noise to picture
MAX_CALLS = 2

ConsistencyFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


def consistency_function(network: nn.Module) -> ConsistencyFunction:
    """The consistency function f(x_t, t) = x_t + (1 − t)·v(x_t, t): where the trajectory through a point ends.

    f(x, 1) = x whatever the network predicts (the boundary condition of Song et al. 2023, equation 5).
    """
    velocity: Velocity = predicted_velocity(network)

    def function(x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        return x + (1 - times)[:, None, None, None] * velocity(x, times, labels)

    return function


def later_times(times: Tensor, halvings: float) -> Tensor:
    """The times (B,) of the second points: their noise share is 1 − n(σ)/2^a of the first ones', at least 0.

    n(σ) = 1 + 8·sigmoid(−σ), σ = (1 − t)/t the noise for each part of picture (2025, equation 15, at q = 2 and b = 1).
    """
    sigma = (1 - times) / times.clamp(min=1e-6)
    noise_ratio = 1 - (1 + STEEPNESS * torch.sigmoid(-sigma)) / 2**halvings
    return 1 - (1 - times) * noise_ratio.clamp(min=0.0)


def ode_step(field: Field, x: Tensor, times: Tensor, later: Tensor) -> Tensor:
    """The points x (B, 3, S, S) moved along ``field``, each from its own time (B,) to its later one.

    One step of Heun's method; of Euler's at the very end, where no velocity is known (:func:`predicted_velocity`).
    """
    step = (later - times)[:, None, None, None]
    slope = field(x, times)
    euler = x + step * slope
    heun = x + step * 0.5 * (slope + field(euler, later))
    return torch.where((later > 1 - MIN_REMAINING_TIME)[:, None, None, None], euler, heun)


def consistency_loss(
    function: ConsistencyFunction,
    field: Field,
    noise: Tensor,
    pictures: Tensor,
    times: Tensor,
    labels: Tensor,
    halvings: float,
) -> Tensor:
    """E[‖f(x_t, t) − f(x_s, s)‖ / (s − t)] over points, x_s being a step from x_t along ``field`` (2025, section 3.3).

    The second term is a target, through which no gradient passes. The norm is the root mean square over values, not
    squared: pairs that are still far apart must not drown the others.
    """
    x, later = interpolate(noise, pictures, times), later_times(times, halvings)
    with torch.no_grad():
        target = function(ode_step(field, x, times, later), later, labels)
    difference = function(x, times, labels) - target
    norm = (difference.square().mean(dim=(1, 2, 3)) + 1e-10).sqrt()
    return (norm / (later - times)).mean()


def few_step_sample(function: ConsistencyFunction, noises: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Pictures in as many calls as there are noises (B, 3, S, S): the first is mapped to its end at once.

    Then the picture is mixed with fresh noise and mapped to its end again (Song et al. 2023, algorithm 1).
    """
    first, *others = noises
    pictures = function(first, torch.zeros(len(first), device=first.device), labels)
    for noise in others:
        times = torch.full((len(noise),), SECOND_CALL_TIME, device=noise.device)
        pictures = function(interpolate(noise, pictures.clamp(-1, 1), times), times, labels)
    return pictures
