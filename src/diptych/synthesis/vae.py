"""VAE: a variational autoencoder (Kingma & Welling 2014), with β (Higgins et al. 2017) and a fitted noise level."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.data.images import Images, ImagesLike
from diptych.data.transforms import to_float
from diptych.engine.optim import Optimizer
from diptych.engine.processes.shared_step import mean_over_processes
from diptych.errors import UsageError
from diptych.settings import numbers
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.editing.latents import invert
from diptych.synthesis.likelihood import (
    GaussianStatistics,
    discretised_nll,
    gaussian_kl,
    gaussian_nll,
    negative_elbo,
    optimal_log_sigma,
)
from diptych.synthesis.networks.convvae import Decoder, Encoder, choose_patch_side
from diptych.synthesis.priors import GaussianMixture, stratified_rows
from diptych.synthesis.sampling import seeding
from diptych.synthesis.sampling.seeding import SEED
from diptych.synthesis.settings import VAESettings
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training import optimizers
from diptych.synthesis.training.augmentation import smallest_crop
from diptych.synthesis.training.config import TrainingConfig, compilable_modules

FREE_NATS = 0.05  # a latent: below this its KL costs nothing, so that no latent collapses early
KL_WARM_UP = 0.1  # of the run, over which the KL term's weight rises to β
MAX_ENCODED_PICTURES = 8192  # for the mixture: of 128 latents five megabytes
MAX_DECODED_PICTURES = 500  # for σ: thousands of values each
BITS_BATCH = 256  # pictures whose bits are computed, in double precision, at a time


class _VAETask:
    """The training task: one player, encoder and decoder together."""

    def __init__(self, modules: Mapping[str, nn.Module], config: TrainingConfig, beta: float) -> None:
        self.encoder, self.decoder = modules["encoder"], modules["decoder"]
        self.config, self.beta = config, beta
        self.kl_weight = beta

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        return {"autoencoder": [*self.encoder.parameters(), *self.decoder.parameters()]}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        assert isinstance(self.encoder, Encoder)
        assert isinstance(self.decoder, Decoder)
        ends = [layer.weight for layer in (self.encoder.first, self.encoder.latents, self.decoder.picture)]
        networks = [self.encoder, self.decoder]
        return {"autoencoder": optimizers.muon_and_adamw(networks, ends, self.config.lr, decay=1e-2)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        # A tenth of the labels is dropped, so that pictures without a label can be encoded too.
        labels = torch.where(torch.rand(len(labels), device=labels.device) < 0.1, -1, labels)
        mean, log_variance = self.encoder(images, labels)
        latents = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        decoded = self.decoder(latents, labels).float()
        nll = gaussian_nll(images, decoded, optimal_log_sigma(images, decoded))
        kl = mean_over_processes(gaussian_kl(mean, log_variance).mean(dim=0, keepdim=True)).clamp(min=FREE_NATS)
        yield "autoencoder", negative_elbo(nll, kl, self.kl_weight)

    def compilable(self) -> list[nn.Module]:
        return compilable_modules([self.encoder, self.decoder])

    def before_step(self, progress: float) -> None:
        """Raise the KL term's weight slowly, so that the decoder first learns to use its latents."""
        self.kl_weight = self.beta * min(1.0, progress / KL_WARM_UP)


class VAE(VAESettings, Synthesizer):
    """An encoder to a few numbers and a decoder back: stable training, soft pictures, and a latent space to move in.

    Parameters
    ----------
    network
        "convvae".
    beta
        Weight of the KL term: 1 is the likelihood bound, more makes latents independent and pictures softer.
    prior
        The distribution of the latents that samples are decoded from: "mixture", Gaussians fitted to each class's
        encoded training pictures, a few similar ones each, which look far better; or "normal", N(0, I), as the bound
        assumes.
    size
        Pixels a side, a multiple of 4 from 8 to 128. None: the pictures' own, at most 64.
    latent
        Length of a picture's latent vector. None: 16 up to 16 px, else 128.
    minutes, epochs
        The run's length: a time budget, or times that each picture is shown; at most one of them. None: 40
        epochs where pictures have at most 16 px, else 10 minutes.
    batch, lr
        Pictures a step and peak learning rate. None: chosen by picture size and machine.
    seed
        Of the weights, the order of pictures and all noise.
    """

    kind: ClassVar[str] = "vae"
    later_modules: ClassVar[tuple[str, ...]] = ("statistics",)
    spherical: ClassVar[bool] = False  # the encoder's latents lie around the mixture's means

    @property
    def information_(self) -> Tensor:
        """(D,) bits of information that each latent has of a picture: its KL, averaged over the training pictures.

        ``information_.argsort(descending=True)`` orders the latents by how much moving them changes.
        """
        return self._statistics().information.cpu() / math.log(2)

    @numbers(seed=SEED)
    def bits_per_dimension(self, images: ImagesLike, *, seed: int = 0) -> Tensor:
        """An upper bound of the bits that the model needs for one colour value of each picture: (N,) float64.

        It is −ELBO with β = 1, of the probability of the 256 levels themselves (:func:`discretised_nll`) with the
        prior N(0, I), over 3·S²·log 2. So it bounds the bits of a lossless code from above, and may be compared with
        other models' on the same pictures at the same size, where 8 is what an uncompressed file takes. σ is the one
        of the training pictures; the latents are drawn once for each picture, by ``seed`` and its row.
        """
        images, log_sigma = Images.of(images), self._statistics().log_sigma.cpu()
        labels, pixels = datasets.match_labels(images, self.classes_), images.pixels(self.size_, GEOMETRY)
        nats = []
        for start in range(0, len(pixels), BITS_BATCH):
            rows = slice(start, start + BITS_BATCH)
            mean, log_variance = self._run(self._posterior, pixels[rows], labels[rows]).double().chunk(2, dim=1)
            noise = seeding.seeded_noise(range(seed + start, seed + start + len(mean)), mean.shape[1:])
            latents = (mean + noise * (0.5 * log_variance).exp()).float()
            nll = discretised_nll(pixels[rows], self._run(self._means, latents, labels[rows]), log_sigma)
            nats.append(nll + gaussian_kl(mean, log_variance).sum(dim=1))
        return torch.cat(nats) / (pixels[0].numel() * math.log(2))

    def _statistics(self) -> GaussianStatistics:
        self._check_fitted()
        statistics = self.modules_["statistics"]
        assert isinstance(statistics, GaussianStatistics)
        if statistics.log_sigma.isnan():
            raise UsageError("This VAE was saved by a version that did not save its σ. Fit it again.")
        return statistics

    def _configure(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        small, classes = prepared.size <= 16, len(prepared.classes)
        latent = self.latent or (16 if small else 128)
        # Fewer pictures of few latents span so little that a sample may come near to one of them.
        group = 32 if small else 16
        layout = {
            "size": prepared.size,
            "classes": classes,
            "latent": latent,
            "width": 64 if gpu else 32,
            "patch": choose_patch_side(prepared.size),
            "components": max(1, min(len(prepared.training), MAX_ENCODED_PICTURES) // (max(classes, 1) * group)),
            "group": group,
        }
        batch = self.batch or (256 if gpu else 64 if small else 32)
        crop = smallest_crop(len(prepared.training), prepared.size)
        lr = self.lr or (2e-3 if small else 1e-3)
        return TrainingConfig(layout, batch=batch, lr=lr, clip=500.0, crop=crop, method_settings=optimizers.FACTS)

    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        network = {name: layout[name] for name in ("size", "classes", "latent", "width", "patch")}
        mixture = {name: layout[name] for name in ("classes", "latent", "components", "group")}
        built = {"encoder": Encoder(**network), "decoder": Decoder(**network), "prior": GaussianMixture(**mixture)}
        return {**built, "statistics": GaussianStatistics(latent=layout["latent"])}

    def _task(self, modules: Mapping[str, nn.Module], config: TrainingConfig) -> _VAETask:
        return _VAETask(modules, config, self.beta)

    def _noise_shape(self) -> tuple[int, ...]:
        return (1 + int(self.layout_["group"]) + self._latent_length(),)  # see GaussianMixture

    def _latent_length(self) -> int:
        return int(self.layout_["latent"])

    def _draw(self, modules: Mapping[str, nn.Module], noise: Tensor, labels: Tensor) -> Tensor:
        if self.prior == "normal":
            return self._decode(modules, noise[:, -self._latent_length() :], labels)
        return self._decode(modules, modules["prior"](noise, labels), labels)

    def _decode(self, modules: Mapping[str, nn.Module], latents: Tensor, labels: Tensor) -> Tensor:
        decoded: Tensor = modules["decoder"](latents, labels)
        return decoded

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        return self._posterior(pixels, labels)[:, : self._latent_length()]

    def _fill_holes(self, pictures: Tensor, hole: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """The likeliest latents of the pixels around the hole, near those of the picture with it smoothed over."""
        mean, log_variance = self.modules_["encoder"](pictures, labels)
        noise = seeding.seeded_noise(seeds, mean.shape[1:]).to(mean.device)
        start = mean + noise * (0.5 * log_variance).exp()
        pixel_weights = (~hole).float()
        sigma = float(self.scores_.get("pixel_error", 0.1)) * 2  # of the range -1..1
        latents = invert(lambda z: self._decode(self.modules_, z, labels), pictures, pixel_weights, start[None], sigma)
        return self._decode(self.modules_, latents, labels)

    def _directions(self, pixels: Tensor, labels: NDArray[np.int64], count: int) -> Tensor:
        """Single latents, the most informative of these pictures first (Burgess et al. 2018, section 4)."""
        mean, log_variance = self._run(self._posterior, pixels, labels).chunk(2, dim=1)
        information = gaussian_kl(mean, log_variance).mean(dim=0)
        return torch.eye(len(information))[information.argsort(descending=True, stable=True)[:count]]

    def _shift_latents(
        self, latents: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float
    ) -> Tensor:
        """Shifted by the mean difference of the classes: the encoder leaves some of the class in the latents."""
        prior = self.modules_["prior"]
        assert isinstance(prior, GaussianMixture)
        centres = prior.centres().cpu()
        centres = torch.cat([centres, centres.mean(dim=0, keepdim=True)])  # the last, -1: no label
        return latents + strength * (centres[others] - centres[labels])

    def _posterior(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Mean and log variance side by side, (B, 2·D)."""
        return torch.cat(self.modules_["encoder"](to_float(pixels), labels), dim=1)

    def _complete(self, training: Images) -> None:
        """Fit the prior and the statistics to the encoded training pictures."""
        all_labels = datasets.match_labels(training, self.classes_)
        rows = stratified_rows(all_labels, MAX_ENCODED_PICTURES, int(self.layout_["group"]), self.seed)
        pictures, labels = training[rows], all_labels[rows]
        encoded = self._run(self._posterior, pictures.pixels(self.size_, GEOMETRY), labels)
        means, log_variances = encoded.chunk(2, dim=1)
        prior, statistics = self.modules_["prior"], self.modules_["statistics"]
        assert isinstance(prior, GaussianMixture)
        assert isinstance(statistics, GaussianStatistics)
        prior.fit(means, log_variances.exp(), labels, self.seed)
        log_sigma = self._fitted_log_sigma(pictures, labels, means, log_variances)
        statistics.store(log_sigma, gaussian_kl(means, log_variances).mean(dim=0))

    def _fitted_log_sigma(
        self, pictures: Images, labels: NDArray[np.int64], means: Tensor, log_variances: Tensor
    ) -> Tensor:
        """Log σ at which the pictures (N), encoded as these posteriors (N, D), are likeliest; by a sample of them."""
        rows = np.unique(np.linspace(0, len(means) - 1, MAX_DECODED_PICTURES).round().astype(np.int64))
        noise = seeding.seeded_noise(rows, (self._latent_length(),))
        decoded = self._run(self._means, means[rows] + noise * (0.5 * log_variances[rows]).exp(), labels[rows])
        return optimal_log_sigma(to_float(pictures[rows].pixels(self.size_, GEOMETRY)), decoded)

    def _means(self, latents: Tensor, labels: Tensor) -> Tensor:
        """The decoder's means, in -1..1, not rounded to levels."""
        return self._decode(self.modules_, latents, labels)

    def _scores(self, modules: Mapping[str, nn.Module], pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """The bound in bits a value, on pictures dequantised by uniform noise, and the pixels' error."""
        mean, log_variance = modules["encoder"](pictures, labels)
        seeded = torch.Generator().manual_seed(0)
        latents = mean + torch.randn(mean.shape, generator=seeded).to(mean.device) * (0.5 * log_variance).exp()
        decoded = modules["decoder"](latents, labels)
        dequantised = pictures + (torch.rand(pictures.shape, generator=seeded).to(pictures.device) - 0.5) / 127.5
        nll = gaussian_nll(dequantised, decoded, optimal_log_sigma(dequantised, decoded))
        nats = float(negative_elbo(nll, gaussian_kl(mean, log_variance))) / pictures[0].numel()
        error = float((decoded - pictures).square().mean().sqrt())
        # One grey level is 1/127.5 of the range -1..1, and a density of the one is that of the other times this.
        return {"bits_per_value": (nats + float(np.log(127.5))) / math.log(2), "pixel_error": error / 2}
