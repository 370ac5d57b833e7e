"""Flow: an ordinary differential equation maps noise to pictures (Lipman et al. 2023)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.data.images import Images, ImagesLike
from diptych.data.transforms import to_float, to_uint8
from diptych.engine.optim import Optimizer, adamw
from diptych.engine.task import Task
from diptych.settings import numbers, whole
from diptych.synthesis import datasets
from diptych.synthesis.consistency import consistency_function, consistency_loss, few_step_sample
from diptych.synthesis.consistency_tuning import MAX_HALVINGS, ConsistencyTask, ConsistencyTunable
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.editing.latents import orthonormal, principal_components
from diptych.synthesis.editing.trajectories import inpaint_trajectory, integrate_forward, numbered_noise, partial_times
from diptych.synthesis.flow_matching import (
    flow_matching_loss,
    guided_velocity,
    interpolate,
    noise_like,
    predicted_velocity,
    target_velocity,
    training_times,
)
from diptych.synthesis.networks.unet import LARGE, SMALL, UNet
from diptych.synthesis.sampling.ode import even_times, heun
from diptych.synthesis.sampling.seeding import SEED
from diptych.synthesis.settings import FlowSettings
from diptych.synthesis.training import optimizers
from diptych.synthesis.training.augmentation import crop_half, is_small_set
from diptych.synthesis.training.config import DEFAULT_MINUTES, TrainingConfig, compilable_modules, private_batch

LABEL_DROPOUT = 0.1  # of the pictures, each independently: these train the model without a label
# Of channels, where pictures are few. Of 400 photographs, each shown 250 times, the held-out loss ends at 0.136, and
# at 0.139 without. Single values, as is usual: 0.137, and 9 ms a layer on a processor instead of 0.2.
DROPOUT = 0.1
PRIVATE = {"width": 24, "multiples": [1]}  # the network of a flow with epsilon
PRIVATE_RATE = 1e-2
PRIVATE_FACTS = {"optimizer": "AdamW"}
MIN_MINUTES_FOR_LARGE = 5.0  # on a GPU: in less a smaller network sees so many more pictures that it learns more


class _FlowTask:
    """The training task: one player regresses the velocity."""

    def __init__(self, modules: Mapping[str, nn.Module], config: TrainingConfig) -> None:
        self.network, self.config = modules["network"], config

    def modules(self) -> Mapping[str, nn.Module]:
        return {"network": self.network}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        return {"flow": list(self.network.parameters())}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        assert isinstance(self.network, UNet)
        if self.config.method_settings == PRIVATE_FACTS:  # Muon would make all of the noise as large as the gradient
            return {"flow": [adamw(self.network.parameters(), self.config.lr, 0.0, (0.9, 0.99))]}
        return {"flow": optimizers.muon_and_adamw([self.network], self.network.boundary_weights(), self.config.lr)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        dropped = torch.rand(len(images), device=images.device) < LABEL_DROPOUT
        labels = torch.where(dropped, -1, labels)
        times = training_times(torch.randn(len(images), device=images.device), images.shape[-1])
        velocity = predicted_velocity(self.network)
        if self.config.layout.get("windows"):
            images, windows = crop_half(images)
            velocity = predicted_velocity(partial(self.network, windows=windows))
        yield "flow", flow_matching_loss(velocity, noise_like(images), images, times, labels)

    def compilable(self) -> list[nn.Module]:
        return compilable_modules([self.network])

    def before_step(self, progress: float) -> None:
        """Nothing depends on the progress."""


class Flow(FlowSettings, ConsistencyTunable):
    """A network that predicts how noise moves to become a picture: the best pictures for the time, in some dozen calls.

    Its latents are the noise that a picture comes from: the equation runs backwards too.

    Parameters
    ----------
    network
        "unet-small", "unet-large" (some 22 million parameters), or "unet": chosen by picture size, machine and minutes.
    guidance
        How far conditional samples are guided towards their class: 1 not at all, more trades variety for
        likeness to the class.
    steps
        Of the Heun sampler, two calls of the network each; once it is tuned (:meth:`tune`), 1 and 2 are the calls of
        the tuned network.
    size
        Pixels a side, a multiple of 4 from 8 to 128. None: the pictures' own, at most 64.
    minutes, epochs
        The run's length: a time budget, or times that each picture is shown; at most one of them. None: 40
        epochs where pictures have at most 16 px, else 10 minutes.
    batch, lr
        Pictures a step and peak learning rate. None: chosen by picture size and machine.
    epsilon, delta
        Differential privacy: a bound on what the flow can tell about one training picture, see
        :mod:`diptych.engine.privacy`. ``None``: no bound, and of δ 1e-5 or a tenth of one in the pictures.
    seed
        Of the weights, the order of pictures and all noise, but for that of a private training.
    """

    kind: ClassVar[str] = "flow"
    automatic_network: ClassVar[str | None] = "unet"

    @property
    def calls(self) -> int:
        """How often the network is run for one sampled picture; twice as often where it is guided to its class."""
        self._check_fitted()
        if self._samples_in_few_calls:
            return self.steps
        return (2 * self.steps - 1) * (2 if self.classes_ and self.guidance != 1 else 1)

    @numbers(draws=whole(1), seed=SEED)
    def velocity_errors(self, images: ImagesLike, *, draws: int = 8, seed: int = 0) -> Tensor:
        """How far the predicted velocity is from each picture's own: (N,) float64, the training loss one by one.

        The mean over ``draws`` times, spread as in training, each with one noise that is the same for every picture, so
        that models and pictures can be compared. Of a tuned flow it is the network's that it was tuned from.
        """
        self._check_fitted()
        images = Images.of(images)
        labels, pixels = datasets.match_labels(images, self.classes_), images.pixels(self.size_, GEOMETRY)
        velocity = predicted_velocity(self.modules_["network"])
        noises = torch.randn(draws, 1, *pixels.shape[1:], generator=torch.Generator().manual_seed(seed))
        times = training_times(torch.special.ndtri((torch.arange(draws) + 0.5) / draws), self.size_)

        def errors(batch: Tensor, batch_labels: Tensor) -> Tensor:
            pictures, total = to_float(batch), torch.zeros(len(batch), device=batch.device)
            for noise, time in zip(noises.to(batch.device), times.to(batch.device), strict=True):
                at = time.expand(len(batch))
                predicted = velocity(interpolate(noise, pictures, at), at, batch_labels).float()
                total += (predicted - target_velocity(noise, pictures)).square().mean((1, 2, 3))
            return total / draws

        return self._run(errors, pixels, labels).double()

    def _configure(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        size = prepared.size
        if prepared.private:
            return self._configure_private(prepared)
        network = self._network_for(size, gpu)
        layout = {
            "size": size,
            "classes": len(prepared.classes),
            "patch": 1 if size < 32 else (1 if gpu else 2) if size < 48 else 2 if gpu else 4,
            "windows": is_small_set(len(prepared.training), size),
            "dropout": DROPOUT if is_small_set(len(prepared.training), size) else 0.0,
            **network,
        }
        batch = self.batch or (256 if gpu else 64 if size <= 16 else 32)
        default_lr = 4e-4 if network is LARGE else 2e-3 if size <= 16 else 1e-3
        return TrainingConfig(layout, batch=batch, lr=self.lr or default_lr, clip=1.0, method_settings=optimizers.FACTS)

    def _configure_private(self, prepared: PreparedData) -> TrainingConfig:
        """A narrow network, since noise is added to every weight, and large batches, which drown it."""
        network = PRIVATE if self.network == "unet" else self._network_for(prepared.size, gpu=False)
        patch = 2 if prepared.size < 48 else 4
        layout = {"size": prepared.size, "classes": len(prepared.classes), "patch": patch, **network}
        batch = min(len(prepared.training), self.batch or private_batch(len(prepared.training)))
        return TrainingConfig(layout, batch=batch, lr=self.lr or PRIVATE_RATE, method_settings=PRIVATE_FACTS)

    def _network_for(self, size: int, gpu: bool) -> Mapping[str, Any]:
        """The U-Net's width and depth."""
        if self.network != "unet":
            return LARGE if self.network == "unet-large" else SMALL
        if size <= 16:
            return {"width": 128 if gpu else 32, "multiples": [1, 2]}
        if not gpu:
            return SMALL
        minutes = DEFAULT_MINUTES if self.epochs is None and self.minutes is None else self.minutes or 0.0
        return LARGE if minutes >= MIN_MINUTES_FOR_LARGE else {"width": 128, "multiples": [1, 2, 2]}

    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        network = {name: value for name, value in layout.items() if name not in ("tuned", "steps")}
        names = ("network", "tuned") if layout.get("tuned") else ("network",)
        return {name: UNet(**network) for name in names}

    def _noise_shape(self) -> tuple[int, ...]:
        # The second call's noise comes after the first one's, so that the first is the same whatever the steps.
        return (3 * self.size_**2 * (self.steps if self._samples_in_few_calls else 1),)

    def _latent_length(self) -> int:
        return 3 * self.size_**2

    def _task(self, modules: Mapping[str, nn.Module], config: TrainingConfig) -> Task:
        if "tuned" not in modules:
            return _FlowTask(modules, config)
        for module in modules.values():
            module.load_state_dict(self.modules_["network"].state_dict())
        return ConsistencyTask(modules, config)

    def _draw(self, modules: Mapping[str, nn.Module], noise: Tensor, labels: Tensor) -> Tensor:
        if not self._samples_in_few_calls:
            return self._integrate(modules, noise, labels, self.guidance, self._ode_steps)
        noises = noise.reshape(len(noise), self.steps, 3, self.size_, self.size_).unbind(1)
        return few_step_sample(consistency_function(modules["tuned"]), noises, labels)

    # Not guided, either way: the guided equation run backwards does not end in the noise that it came from.
    def _decode(self, modules: Mapping[str, nn.Module], latents: Tensor, labels: Tensor) -> Tensor:
        return self._integrate(modules, latents, labels, 1.0, self._reverse_steps)

    def _integrate(
        self, modules: Mapping[str, nn.Module], noise: Tensor, labels: Tensor, guidance: float, steps: int
    ) -> Tensor:
        field = guided_velocity(predicted_velocity(modules["network"]), labels, guidance)
        return integrate_forward(field, noise.reshape(-1, 3, self.size_, self.size_), even_times(steps))

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        return self._integrate_back(pixels, labels, even_times(self._reverse_steps, reverse=True)).flatten(1)

    @property
    def _reverse_steps(self) -> int:
        """From a picture to its noise; the first only adds noise to the picture, so that one alone would lose it."""
        return max(2, self._ode_steps)

    def _integrate_back(self, pixels: Tensor, labels: Tensor, times: Tensor) -> Tensor:
        """Pictures taken back from time 1 to the last of the times."""
        times = times[1:]
        # Back from where the last step forward begins; the noise at that point is the same for every picture.
        noise = torch.randn(1, *pixels.shape[1:], generator=torch.Generator().manual_seed(0)).to(pixels.device)
        x = interpolate(noise, to_float(pixels), times[:1].to(pixels.device))
        return heun(guided_velocity(predicted_velocity(self.modules_["network"]), labels, 1.0), x, times)

    def _fill_holes(self, pictures: Tensor, hole: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        field = guided_velocity(predicted_velocity(self.modules_["network"]), labels, self.guidance)
        noise = numbered_noise(seeds, pictures.shape[1:], pictures.device)
        return inpaint_trajectory(field, pictures, hole, even_times(2 * self._ode_steps)[:-1], noise)

    def _directions(self, pixels: Tensor, labels: NDArray[np.int64], count: int) -> Tensor:
        """The principal components of samples.

        Where the pictures are normal, the flow takes each component of the noise to the same component of the picture.
        """
        _, pictures = self._centred_samples(labels)
        return orthonormal(principal_components(pictures, count) @ pictures.flatten(1))

    def _restyle(self, pixels: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float) -> Tensor:
        """Back towards noise with their own class, as far as ``strength``, and ahead with the other, guided."""
        times = partial_times(self._ode_steps, 1 - strength)

        def work(rows: Tensor, device: torch.device) -> Tensor:
            own, other = (torch.from_numpy(numbers[rows]).to(device) for numbers in (labels, others))
            x = self._integrate_back(pixels[rows].to(device), own, times.flip(0))
            field = guided_velocity(predicted_velocity(self.modules_["network"]), other, self.guidance)
            return to_uint8(integrate_forward(field, x, times))

        return self._map_rows(work, len(pixels))

    def _complete(self, training: Images) -> None:
        """There is nothing to fit."""

    def _scores(self, modules: Mapping[str, nn.Module], pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """The regression's loss, at times spread as in training, and the same noise each time."""
        seeded = torch.Generator().manual_seed(0)
        noise = torch.randn(pictures.shape, generator=seeded).to(pictures.device)
        even = (torch.arange(len(pictures), device=pictures.device) + 0.5) / len(pictures)
        times = training_times(torch.special.ndtri(even), self.size_)
        if "tuned" not in modules:
            velocity = predicted_velocity(modules["network"])
            return {"held_out_loss": float(flow_matching_loss(velocity, noise, pictures, times, labels))}
        function = consistency_function(modules["tuned"])
        field = guided_velocity(predicted_velocity(modules["network"]), labels, self.guidance)
        return {"held_out_loss": float(consistency_loss(function, field, noise, pictures, times, labels, MAX_HALVINGS))}
