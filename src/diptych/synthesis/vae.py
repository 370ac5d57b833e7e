"""VAE: a variational autoencoder (Kingma & Welling 2014), with β (Higgins et al. 2017) and a learnt noise level."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine.optim import Optimizer
from diptych.errors import UsageError
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.editing.latents import invert
from diptych.synthesis.likelihood import Statistics, discretised_nll
from diptych.synthesis.networks.convvae import Decoder, Encoder, patch_for
from diptych.synthesis.priors import GaussianMixture, stratified_rows
from diptych.synthesis.sampling import seeding
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training import optimizers
from diptych.synthesis.training.augmentation import crop_for
from diptych.synthesis.training.config import TrainingConfig, compilable_modules

PRIORS = ("mixture", "normal")
LOWEST_LOG_SIGMA = -5.0
FREE_NATS = 0.05  # a latent: below this its KL costs nothing, so that no latent dies early
WARM_UP = 0.1  # of the run, over which the KL term's weight rises to β
ENCODED_PICTURES = 8192  # at most, for the mixture: of 128 latents five megabytes
DECODED_PICTURES = 500  # at most, for σ: thousands of values each
JUDGED_AT_ONCE = 256  # pictures whose bits are counted, in double precision, at a time


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each latent, ½(μ² + σ² − 1 − log σ²) (Kingma & Welling 2014, appendix B).

    (B, D) each, in nats; (B, D) is returned.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def gaussian_nll(pictures: Tensor, means: Tensor, log_sigma: Tensor) -> Tensor:
    """−log N(x; x̂, σ²), summed over a picture's values: D·(log σ + ½·log 2π) + ‖x − x̂‖² / 2σ².

    Pictures and means (B, 3, S, S), ``log_sigma`` a scalar; (B,) nats are returned.
    """
    values = pictures[0].numel()
    squares = (pictures - means).square().sum(dim=(1, 2, 3))
    return values * (log_sigma + 0.5 * math.log(2 * math.pi)) + 0.5 * squares * torch.exp(-2 * log_sigma)


def optimal_log_sigma(pictures: Tensor, means: Tensor) -> Tensor:
    """Log σ at which a batch is likeliest: σ² is its mean squared error (Rybkin et al. 2021, equation 9).

    Kept above −5 by a soft bound, so that a set of flat pictures cannot drive the likelihood to infinity.
    """
    error = (pictures - means).square().mean().clamp(min=1e-12)
    return LOWEST_LOG_SIGMA + F.softplus(0.5 * error.log() - LOWEST_LOG_SIGMA)


def negative_elbo(nll: Tensor, kl: Tensor, beta: float = 1.0) -> Tensor:
    """−ELBO_β = E[−log p(x|z)] + β·KL(q(z|x) ‖ p(z)), the mean over a batch (Higgins et al. 2017, equation 4).

    ``nll`` (B,) is summed over a picture's values and ``kl`` (B, D) is summed here over latents; a mean over
    either of them would be a β in disguise.
    """
    return nll.mean() + beta * kl.sum(dim=1).mean()


class _Autoencoder:
    """The training task: one player, both halves."""

    def __init__(self, modules: Mapping[str, nn.Module], choices: TrainingConfig, beta: float) -> None:
        self.encoder, self.decoder = modules["encoder"], modules["decoder"]
        self.choices, self.beta = choices, beta
        self.weight = beta

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        return {"autoencoder": [*self.encoder.parameters(), *self.decoder.parameters()]}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        assert isinstance(self.encoder, Encoder)
        assert isinstance(self.decoder, Decoder)
        ends = [layer.weight for layer in (self.encoder.first, self.encoder.latents, self.decoder.picture)]
        halves = [self.encoder, self.decoder]
        return {"autoencoder": optimizers.muon_and_adamw(halves, ends, self.choices.lr, decay=1e-2)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        # A tenth of the labels is hidden, so that pictures without a label can be encoded too.
        labels = torch.where(torch.rand(len(labels), device=labels.device) < 0.1, -1, labels)
        mean, log_variance = self.encoder(images, labels)
        latents = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        decoded = self.decoder(latents, labels).float()
        nll = gaussian_nll(images, decoded, optimal_log_sigma(images, decoded))
        kl = gaussian_kl(mean, log_variance).mean(dim=0, keepdim=True).clamp(min=FREE_NATS)
        yield "autoencoder", negative_elbo(nll, kl, self.weight)

    def compilable(self) -> list[nn.Module]:
        return compilable_modules([self.encoder, self.decoder])

    def before_step(self, progress: float) -> None:
        """The KL term comes in slowly, after the decoder has learnt to use its latents."""
        self.weight = self.beta * min(1.0, progress / WARM_UP)


class VAE(Synthesizer):
    """An encoder to a few numbers and a decoder back: stable, soft pictures, and a map to move on.

    Parameters
    ----------
    network
        "convvae".
    beta
        Weight of the KL term: 1 is the likelihood bound, more makes latents independent and pictures softer.
    prior
        What samples are decoded from: "mixture", Gaussians fitted to each class's encoded training pictures,
        a few like ones each, which look far better; or "normal", N(0, I), as the bound assumes.
    size
        Pixels a side, a multiple of 4 from 8 to 128. None: the pictures' own, at most 64.
    latent
        Numbers a picture is encoded in. None: 16 up to 16 px, else 128.
    minutes, epochs
        The run's length: a time budget, or times that each picture is shown; at most one of them. None: 40
        epochs where pictures have at most 16 px, else 10 minutes.
    batch, lr
        Pictures a step and peak learning rate. None: chosen by picture size and machine.
    seed
        Of the weights, the order of pictures and all noise.
    """

    kind: ClassVar[str] = "vae"
    networks: ClassVar[tuple[str, ...]] = ("convvae",)
    spherical: ClassVar[bool] = False  # what the encoder gives lies about the mixture's means

    def __init__(
        self,
        network: str = "convvae",
        *,
        beta: float = 1.0,
        prior: str = "mixture",
        size: int | None = None,
        latent: int | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        batch: int | None = None,
        lr: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(network, size=size, minutes=minutes, epochs=epochs, batch=batch, lr=lr, seed=seed)
        self.beta = beta
        self.prior = prior
        self.latent = latent

    @property
    def information_(self) -> Tensor:
        """(D,) bits that each latent tells of a picture: its KL, averaged over the training pictures.

        ``information_.argsort(descending=True)`` names the latents in the order in which they are worth moving.
        """
        return self._statistics().information.cpu() / math.log(2)

    def bits_per_dimension(self, images: Images, *, seed: int = 0) -> Tensor:
        """How many bits the model needs for one colour value of each picture, at most: (N,) float64.

        It is −ELBO with β = 1, of the probability of the 256 levels themselves (:func:`discretised_nll`) with the
        prior N(0, I), over 3·S²·log 2. So it bounds the bits of a lossless code from above, and may be compared with
        other models' on the same pictures at the same size, where 8 is what an uncompressed file takes. σ is the one
        of the training pictures; the latents are drawn once for each picture, by ``seed`` and its row.
        """
        log_sigma = self._statistics().log_sigma.cpu()
        labels, pixels = datasets.match_labels(images, self.classes_), images.pixels(self.size_, GEOMETRY)
        told = []
        for start in range(0, len(pixels), JUDGED_AT_ONCE):
            rows = slice(start, start + JUDGED_AT_ONCE)
            mean, log_variance = self._run(self._posterior, pixels[rows], labels[rows]).double().chunk(2, dim=1)
            noise = seeding.seeded_noise(range(seed + start, seed + start + len(mean)), mean.shape[1:])
            latents = (mean + noise * (0.5 * log_variance).exp()).float()
            nll = discretised_nll(pixels[rows], self._run(self._means, latents, labels[rows]), log_sigma)
            told.append(nll + gaussian_kl(mean, log_variance).sum(dim=1))
        return torch.cat(told) / (pixels[0].numel() * math.log(2))

    def _statistics(self) -> Statistics:
        self._fitted()
        kept = self.modules_["statistics"]
        assert isinstance(kept, Statistics)
        if kept.log_sigma.isnan():
            raise UsageError("This VAE was saved by a version that did not keep its σ. Fit it again.")
        return kept

    def _check(self) -> None:
        super()._check()
        if self.beta < 0:
            raise UsageError(f"beta must be at least 0, not {self.beta}.")
        if self.prior not in PRIORS:
            raise UsageError(f"The prior is one of {', '.join(PRIORS)}, not {self.prior!r}.")

    def _choose(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        small, classes = prepared.size <= 16, len(prepared.classes)
        latent = self.latent or (16 if small else 128)
        # Fewer pictures of few latents span so little that what is drawn may come near to one of them.
        group = 32 if small else 16
        layout = {
            "size": prepared.size,
            "classes": classes,
            "latent": latent,
            "width": 64 if gpu else 32,
            "patch": patch_for(prepared.size),
            "components": max(1, min(len(prepared.train), ENCODED_PICTURES) // (max(classes, 1) * group)),
            "group": group,
        }
        batch = self.batch or (256 if gpu else 64 if small else 32)
        crop = crop_for(len(prepared.train), prepared.size)
        lr = self.lr or (2e-3 if small else 1e-3)
        return TrainingConfig(layout, batch=batch, lr=lr, clip=500.0, crop=crop, more=optimizers.FACTS)

    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        network = {name: layout[name] for name in ("size", "classes", "latent", "width", "patch")}
        mixture = {name: layout[name] for name in ("classes", "latent", "components", "group")}
        built = {"encoder": Encoder(**network), "decoder": Decoder(**network), "prior": GaussianMixture(**mixture)}
        return {**built, "statistics": Statistics(latent=layout["latent"])}

    def _task(self, modules: Mapping[str, nn.Module], choices: TrainingConfig) -> _Autoencoder:
        return _Autoencoder(modules, choices, self.beta)

    def _noise_shape(self) -> tuple[int, ...]:
        return (1 + int(self.layout_["group"]) + self._latent_length(),)  # see Mixture

    def _latent_length(self) -> int:
        return int(self.layout_["latent"])

    def _draw(self, modules: Mapping[str, nn.Module], noise: Tensor, labels: Tensor) -> Tensor:
        if self.prior == "normal" or "prior" not in modules:  # in training there is no mixture yet
            return self._decode(modules, noise[:, -self._latent_length() :], labels)
        return self._decode(modules, modules["prior"](noise, labels), labels)

    def _decode(self, modules: Mapping[str, nn.Module], latents: Tensor, labels: Tensor) -> Tensor:
        decoded: Tensor = modules["decoder"](latents, labels)
        return decoded

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        return self._posterior(pixels, labels)[:, : self._latent_length()]

    def _fill_holes(self, pictures: Tensor, hole: Tensor, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """The likeliest latents of what is seen, near those of the whole picture with its hole smoothed over."""
        mean, log_variance = self.modules_["encoder"](pictures, labels)
        noise = seeding.seeded_noise(seeds, mean.shape[1:]).to(mean.device)
        start = mean + noise * (0.5 * log_variance).exp()
        seen = (~hole).float()
        sigma = float(self.scores_.get("pixel_error", 0.1)) * 2  # of the range -1..1
        latents = invert(lambda z: self._decode(self.modules_, z, labels), pictures, seen, start[None], sigma)
        return self._decode(self.modules_, latents, labels)

    def _directions(self, pixels: Tensor, labels: NDArray[np.int64], count: int) -> Tensor:
        """Single latents, those first that tell most about these pictures (Burgess et al. 2018, section 4)."""
        mean, log_variance = self._run(self._posterior, pixels, labels).chunk(2, dim=1)
        told = gaussian_kl(mean, log_variance).mean(dim=0)
        return torch.eye(len(told))[told.argsort(descending=True, stable=True)[:count]]

    def _shift_latents(
        self, latents: Tensor, labels: NDArray[np.int64], others: NDArray[np.int64], strength: float
    ) -> Tensor:
        """Moved by what the classes' pictures differ by on average: the encoder leaves some of the class in them."""
        prior = self.modules_["prior"]
        assert isinstance(prior, GaussianMixture)
        centres = prior.centres().cpu()
        centres = torch.cat([centres, centres.mean(dim=0, keepdim=True)])  # the last, -1: no label
        return latents + strength * (centres[others] - centres[labels])

    def _posterior(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Mean and log variance side by side, (B, 2·D)."""
        return torch.cat(self.modules_["encoder"](to_float(pixels), labels), dim=1)

    def _complete(self, prepared: PreparedData) -> None:
        every = datasets.match_labels(prepared.train, self.classes_)
        rows = stratified_rows(every, ENCODED_PICTURES, int(self.layout_["group"]), self.seed)
        known, labels = prepared.train[rows], every[rows]
        encoded = self._run(self._posterior, known.pixels(prepared.size, GEOMETRY), labels)
        means, log_variances = encoded.chunk(2, dim=1)
        prior, statistics = self.modules_["prior"], self.modules_["statistics"]
        assert isinstance(prior, GaussianMixture)
        assert isinstance(statistics, Statistics)
        prior.fit(means, log_variances.exp(), labels, self.seed)
        rows = np.unique(np.linspace(0, len(means) - 1, DECODED_PICTURES).round().astype(np.int64))
        noise = seeding.seeded_noise(rows, (self._latent_length(),))
        decoded = self._run(self._means, means[rows] + noise * (0.5 * log_variances[rows]).exp(), labels[rows])
        pictures = to_float(known[rows].pixels(prepared.size, GEOMETRY))
        statistics.keep(optimal_log_sigma(pictures, decoded), gaussian_kl(means, log_variances).mean(dim=0))

    def _means(self, latents: Tensor, labels: Tensor) -> Tensor:
        """What the decoder expects, as it is: not rounded to levels."""
        return self._decode(self.modules_, latents, labels)

    def _scores(self, modules: Mapping[str, nn.Module], pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """The bound in bits a value, on pictures dequantised by uniform noise, and the pixels' error."""
        mean, log_variance = modules["encoder"](pictures, labels)
        seeded = torch.Generator().manual_seed(0)
        latents = mean + torch.randn(mean.shape, generator=seeded).to(mean.device) * (0.5 * log_variance).exp()
        decoded = modules["decoder"](latents, labels)
        rough = pictures + (torch.rand(pictures.shape, generator=seeded).to(pictures.device) - 0.5) / 127.5
        nll = gaussian_nll(rough, decoded, optimal_log_sigma(rough, decoded))
        nats = float(negative_elbo(nll, gaussian_kl(mean, log_variance))) / pictures[0].numel()
        error = float((decoded - pictures).square().mean().sqrt())
        # One grey level is 1/127.5 of the range -1..1, and a density of the one is that of the other times this.
        return {"bits_per_value": (nats + float(np.log(127.5))) / math.log(2), "pixel_error": error / 2}
