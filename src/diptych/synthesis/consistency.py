"""Easy consistency tuning (Geng et al. 2025, "Consistency models made easy"): pictures in one call or two.

A trained flow tells the mean of all pictures that may lie behind a noisy one. Tuned, it tells the one picture at the
end of the way through that point: two points of one way must be told the same picture. At first the second point is the
end of the way; then the two come ever closer.

From the first point to the second the flow itself leads, pushed to the picture's class as in its sampling (consistency
distillation, Song et al. 2023; guided, Luo et al. 2023, "Latent consistency models"), so that few calls make the
pictures that the flow makes in many. The schedule and the weights are those of easy tuning.

The paper counts time as the standard deviation of noise added to the picture; here a point is
x_t = (1 − t)·noise + t·x, so it is the share of noise, 1 − t, that is halved again and again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diptych.engine.optim import Optimizer
from diptych.errors import UsageError
from diptych.synthesis.flow_matching import (
    NEAREST_END,
    Velocity,
    guided_velocity,
    interpolate,
    noise_like,
    predicted_velocity,
    training_times,
)
from diptych.synthesis.networks.unet import UNet
from diptych.synthesis.sampling.ode import Field
from diptych.synthesis.training.config import TrainingConfig
from diptych.synthesis.training.optimizers import muon_and_adamw

# Of the distance between the two points, by the end of the run. On digits, 25 s after a fit of 25 s, 4 beat 7 (read as
# asked for: 95 % against 93 % in one call, 98 % against 93 % in two); a GPU shows many times as many pictures.
MOST_HALVINGS, MOST_HALVINGS_ON_GPU = 4.0, 7.0
BROADER = 1.6  # times are drawn more widely than for the flow: one call begins at the noisiest point of all
STEEPNESS = 8.0  # how much farther apart the points are where little noise is left (the paper's k)
HALF_WAY = 0.55  # the time at which the second call begins; the paper's σ of 0.821 is this ratio of noise to picture
MOST_CALLS = 2
TUNING_RATE = 0.25  # of the rate that the flow was fitted with

Ending = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TuningLength:
    """How long to tune; None of both: as long as :meth:`Flow.fit` would by itself."""

    minutes: float | None = None
    epochs: float | None = None

    def checked(self) -> "TuningLength":
        """Itself, if it can be."""
        if self.minutes is not None and self.epochs is not None:
            raise UsageError("Set either minutes or epochs, not both.")
        for name, value in (("minutes", self.minutes), ("epochs", self.epochs)):
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be above 0, not {value}.")
        return self


def consistency_function(network: nn.Module) -> Ending:
    """The consistency function f(x_t, t) = x_t + (1 − t)·v(x_t, t): where the way through a point ends.

    f(x, 1) = x whatever the network tells (the boundary condition of Song et al. 2023, equation 5).
    """
    velocity: Velocity = predicted_velocity(network)

    def ending(x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        return x + (1 - times)[:, None, None, None] * velocity(x, times, labels)

    return ending


def later_times(times: Tensor, halvings: float) -> Tensor:
    """The times (B,) of the second points: their noise share is 1 − n(σ)/2^a of the first ones', at least 0.

    n(σ) = 1 + 8·sigmoid(−σ), σ = (1 − t)/t the noise for each part of picture (2025, equation 15, at q = 2 and b = 1).
    """
    sigma = (1 - times) / times.clamp(min=1e-6)
    kept = 1 - (1 + STEEPNESS * torch.sigmoid(-sigma)) / 2**halvings
    return 1 - (1 - times) * kept.clamp(min=0.0)


def ode_step(field: Field, x: Tensor, times: Tensor, later: Tensor) -> Tensor:
    """Where ``field`` leads each point x (B, 3, S, S) from its own time (B,) to its later one.

    One step of Heun's method; of Euler's at its end, where no velocity is known (:func:`predicted_velocity`).
    """
    step = (later - times)[:, None, None, None]
    slope = field(x, times)
    straight = x + step * slope
    bent = x + step * 0.5 * (slope + field(straight, later))
    return torch.where((later > 1 - NEAREST_END)[:, None, None, None], straight, bent)


def consistency_loss(
    ending: Ending, field: Field, noise: Tensor, pictures: Tensor, times: Tensor, labels: Tensor, halvings: float
) -> Tensor:
    """E[‖f(x_t, t) − f(x_s, s)‖ / (s − t)] over points where ``field`` leads from x_t to x_s (2025, section 3.3).

    The second term is a target, through which no gradient passes. The norm is the root mean square over values, not
    squared: pairs that are still far apart must not drown the others.
    """
    x, later = interpolate(noise, pictures, times), later_times(times, halvings)
    with torch.no_grad():
        target = ending(ode_step(field, x, times, later), later, labels)
    apart = ending(x, times, labels) - target
    norm = (apart.square().mean(dim=(1, 2, 3)) + 1e-10).sqrt()
    return (norm / (later - times)).mean()


def few_step_sample(ending: Ending, noises: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Pictures in as many calls as there are noises (B, 3, S, S): the first is carried to its end at once.

    Then the picture is mixed with fresh noise and carried on from there (Song et al. 2023, algorithm 1).
    """
    first, *others = noises
    pictures = ending(first, torch.zeros(len(first), device=first.device), labels)
    for noise in others:
        times = torch.full((len(noise),), HALF_WAY, device=noise.device)
        pictures = ending(interpolate(noise, pictures.clamp(-1, 1), times), times, labels)
    return pictures


class ConsistencyTuning:
    """The training task: one player is tuned; the flow that it came from leads and is kept as it is."""

    def __init__(self, modules: Mapping[str, nn.Module], choices: TrainingConfig) -> None:
        self.network, self.tuned, self.lr = modules["network"], modules["tuned"], choices.lr
        self.guidance, self.most_halvings = choices.more["guidance"], choices.more["halvings"]
        self.halvings = 1.0

    def modules(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"network": self.network, "tuned": self.tuned}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        """The tuned one."""
        return {"tuned": list(self.tuned.parameters())}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        """Its optimisers. By AdamW alone one of two runs of five minutes on CIFAR-10 ran wild at its end."""
        assert isinstance(self.tuned, UNet)
        return {"tuned": muon_and_adamw([self.tuned], self.tuned.boundary_weights(), self.lr)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """One loss; labels stay, for few calls are made with them."""
        times = training_times(BROADER * torch.randn(len(images), device=images.device), images.shape[-1])
        field, noise = guided_velocity(predicted_velocity(self.network), labels, self.guidance), noise_like(images)
        yield (
            "tuned",
            consistency_loss(consistency_function(self.tuned), field, noise, images, times, labels, self.halvings),
        )

    def compilable(self) -> list[nn.Module]:
        """None: both are called without gradients too."""
        return []

    def before_step(self, progress: float) -> None:
        """The two points come closer."""
        self.halvings = 1 + (self.most_halvings - 1) * progress
