"""The straight path from noise to picture, the velocity along it, and the loss by which a network learns it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

MIN_REMAINING_TIME = 0.05  # a network's error in the picture is never magnified more than 1/0.05 times
SHIFT_TOWARDS_NOISE = 0.25  # of the training times, for each doubling of the size above 8 px

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]


def interpolate(noise: Tensor, pictures: Tensor, times: Tensor) -> Tensor:
    """The point at time t of the straight line from noise to picture: x_t = (1 − t)·noise + t·x.

    Lipman et al. 2023, equation 20 with σ_min = 0; ``times`` (B,) in 0..1.
    """
    share = times[:, None, None, None]
    return (1 - share) * noise + share * pictures


def noise_like(pictures: Tensor) -> Tensor:
    """Standard normal noise of the pictures' shape, on their device and in their memory format.

    Drawn in rows and then copied: where channels come last, torch draws values one by one, at a tenth of the speed.
    """
    return torch.empty_like(pictures).copy_(torch.randn(pictures.shape, device=pictures.device))


def target_velocity(noise: Tensor, pictures: Tensor) -> Tensor:
    """The derivative dx_t / dt = x − noise: the same at every time of the line."""
    return pictures - noise


def flow_matching_loss(velocity: Velocity, noise: Tensor, pictures: Tensor, times: Tensor, labels: Tensor) -> Tensor:
    """E‖v(x_t, t) − (x − noise)‖², the mean over values (conditional flow matching, 2023, equation 23)."""
    predicted = velocity(interpolate(noise, pictures, times), times, labels)
    return (predicted.float() - target_velocity(noise, pictures)).square().mean()


def predicted_velocity(network: Callable[..., Tensor]) -> Velocity:
    """The velocity towards the picture that ``network`` predicts: v = (x̂(x_t, t) − x_t) / (1 − t).

    The network predicts pictures, which have few degrees of freedom, and not velocities, which are noisy in every
    pixel: a small network on patches has no room to pass all that noise through (Li & He 2025, "Back to basics").
    """

    def velocity(x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        predicted: Tensor = network(x, times, labels)
        return (predicted.float() - x) / (1 - times).clamp(min=MIN_REMAINING_TIME)[:, None, None, None]

    return velocity


def training_times(normal: Tensor, size: int) -> Tensor:
    """Standard normal draws (B,) to training times in 0..1: a logit-normal (Esser et al. 2024, section 3.1).

    A large picture shows through more noise than a small one, so the difficult times lie nearer to 0.
    """
    return torch.sigmoid(normal - math.log2(size / 8) * SHIFT_TOWARDS_NOISE)


def guided_velocity(velocity: Velocity, labels: Tensor, guidance: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The field v(x, t, none) + g·(v(x, t, label) − v(x, t, none)) (classifier-free guidance, Ho & Salimans 2022).

    At g = 1, or where no picture has a label, it is the model's own field at half the cost. t is one for all or (B,).
    """
    unguided = guidance == 1 or bool((labels < 0).all())

    def field(x: Tensor, t: Tensor) -> Tensor:
        times = t.to(x.device).expand(len(x))
        if unguided:
            return velocity(x, times, labels)
        both = torch.cat([labels, torch.full_like(labels, -1)])
        with_label, without = velocity(x.repeat(2, 1, 1, 1), times.repeat(2), both).chunk(2)
        return without + guidance * (with_label - without)

    return field
