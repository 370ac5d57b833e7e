"""GAN: a generator and a critic against each other (Goodfellow et al. 2014).

From 20 px on, half of the generated pictures must also match a real one at low resolution: an encoder gives the
generator its latents (VAE/GAN, Larsen et al. 2016). The layouts of all real pictures are learned so within minutes,
where the game alone begins with textures and drops kinds of pictures; and a fitted GAN can encode.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine.optim import Optimizer, adamw
from diptych.engine.schedule import constant_then_decay
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.editing.latents import invert
from diptych.synthesis.likelihood import gaussian_kl, gaussian_nll, negative_elbo, optimal_log_sigma
from diptych.synthesis.networks.convvae import Encoder, choose_patch_side
from diptych.synthesis.networks.dcgan import STDDEV_GROUP, Critic, Generator
from diptych.synthesis.networks.dcgan_classic import ClassicCritic, ClassicGenerator
from diptych.synthesis.settings import GANSettings
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training.augmentation import augmentations_for, diff_augment
from diptych.synthesis.training.config import TrainingConfig, compilable_modules

CLASSIC = "dcgan-classic"
LAYOUT_SIZE = 16  # px: about the side at which a picture is compared with the one that it was encoded from
LAYOUT_WEIGHT = 0.01  # of a nat of that comparison beside the generator's loss in the game


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the critic minimises: −E[log D(x)] − E[log(1 − D(G(z)))], with D = sigmoid(logit).

    Goodfellow et al. 2014, equation 1, negated: the critic maximises the value V(D, G) in both forms of the game.
    ``real`` and ``fake`` are logits (B,); 2·log 2 where the critic cannot distinguish them (D = 1/2).
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_loss(fake: Tensor) -> Tensor:
    """What the generator minimises in the minimax game: E[log(1 − D(G(z)))] (2014, equation 1).

    Its gradient vanishes where the critic is confident, D(G(z)) near 0.
    """
    return -F.softplus(fake).mean()


def non_saturating_loss(fake: Tensor) -> Tensor:
    """The generator's other loss: −E[log D(G(z))] (2014, section 3).

    It has the same fixed point, and its gradient is largest where the critic is confident.
    """
    return F.softplus(-fake).mean()


def relativistic_loss(higher: Tensor, lower: Tensor) -> Tensor:
    """What either player minimises in the relativistic game: E[softplus(lower − higher)], over pairs of logits (B,).

    The critic ranks each real picture above a generated one, and the generator the other way round
    (Jolicoeur-Martineau 2019, "The relativistic discriminator", section 4.2; Huang et al. 2024, "The GAN is dead; long
    live the GAN!", equation 2). A generator of one kind of picture only is penalised: the real pictures that
    it leaves out keep ranking higher.
    """
    return F.softplus(lower - higher).mean()


def gradient_penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """E‖∇D(x)‖², the R1 penalty at real or R2 at generated pictures (Mescheder et al. 2018, equation 9).

    It keeps the game converging near its end: the critic may not have slope where the pictures already are.
    ``pictures`` need gradients.
    """
    (slope,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return slope.float().square().sum(dim=(1, 2, 3)).mean()


def layout_loss(generated: Tensor, pictures: Tensor, kl: Tensor) -> Tensor:
    """−ELBO, at low resolution, of the pictures that the first n generated ones were encoded from; 0 if n is 0.

    Both (B, 3, S, S) are shrunk to 16 to 31 px by averaging whole cells, so that edges and texture are left to the
    critic (Larsen et al. 2016, equation 8, with the low resolution for the critic's features). ``kl`` (n, D) in nats.
    """
    if not len(kl):
        return generated.new_zeros(())
    cell = max(1, generated.shape[-1] // LAYOUT_SIZE)
    means, targets = (F.avg_pool2d(batch[: len(kl)].float(), cell) for batch in (generated, pictures))
    return negative_elbo(gaussian_nll(targets, means, optimal_log_sigma(targets, means)), kl)


class _GANTask:
    """The training task: the critic yields first, so the generator's loss is by the stepped critic."""

    def __init__(self, modules: Mapping[str, nn.Module], config: TrainingConfig) -> None:
        self.generator, self.critic, self.encoder = modules["generator"], modules["critic"], modules.get("encoder")
        self.batch_norm = any(isinstance(module, nn.BatchNorm2d) for module in self.critic.modules())
        self.config = config
        self.latent: int = config.layout["latent"]
        self.augment, self.penalty = config.method_settings["augment"], config.method_settings["penalty"]
        self.penalty_weight = self.penalty
        self.loss: str = config.method_settings["loss"]

    def modules(self) -> Mapping[str, nn.Module]:
        encoder = {} if self.encoder is None else {"encoder": self.encoder}
        return {"generator": self.generator, "critic": self.critic, **encoder}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        """The encoder is trained with the generator."""
        critic = self.modules()["critic"]
        others = [module for module in self.modules().values() if module is not critic]
        return {"generator": [p for m in others for p in m.parameters()], "critic": list(critic.parameters())}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        first, second = self.config.method_settings["betas"]
        return {
            player: [adamw(parameters, self.config.lr, 0.0, (first, second))]
            for player, parameters in self.players().items()
        }

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        latents, kl = self._latents(images, labels)
        generated = self.generator(latents, labels)
        both = diff_augment(torch.cat([images, generated.detach().to(images.dtype)]), self.augment)
        both.requires_grad_(self.penalty > 0)
        logits = self._critic_logits(both, labels)
        loss = self._critic_loss(*logits.float().chunk(2))
        if self.penalty > 0:
            # The mean over both kinds, twice: E‖∇D(x)‖² at real pictures and at generated ones.
            loss = loss + self.penalty_weight * gradient_penalty(logits, both)
        yield "critic", loss
        fake = self.critic(diff_augment(generated, self.augment), labels).float()
        layout = LAYOUT_WEIGHT * layout_loss(generated, images, kl)
        yield "generator", self._generator_loss(fake, images, labels) + layout

    def _latents(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, D), the first of them encoded from the first of the pictures, and the KL of those (n, D)."""
        noise = torch.randn(len(images), self.latent, device=images.device)
        if self.encoder is None:
            return noise, noise[:0]
        half = -(-len(images) // 2)
        mean, log_variance = self.encoder(images[:half], labels[:half])
        encoded = mean + noise[:half] * (0.5 * log_variance).exp()
        return torch.cat([encoded, noise[half:]]), gaussian_kl(mean, log_variance)

    def _critic_logits(self, both: Tensor, labels: Tensor) -> Tensor:
        """Logits (2·B,) of real pictures and as many generated ones, (2·B, 3, S, S).

        In one call where possible: small batches leave a processor's threads waiting for each other. Batch norm,
        though, would let the critic know either kind by the other, and so would pictures of both compared in one group.
        """
        if self.batch_norm or len(labels) % STDDEV_GROUP:
            return torch.cat([self.critic(kind, labels) for kind in both.chunk(2)])
        logits: Tensor = self.critic(both, labels.repeat(2))
        return logits

    def _critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.loss == "relativistic":
            return relativistic_loss(real, fake)
        return critic_loss(real, fake)

    def _generator_loss(self, fake: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        if self.loss == "relativistic":
            with torch.no_grad():
                real = self.critic(diff_augment(images, self.augment), labels).float()
            return relativistic_loss(fake, real)
        return minimax_loss(fake) if self.loss == "minimax" else non_saturating_loss(fake)

    def compilable(self) -> list[nn.Module]:
        # Not the critic: its penalty needs second derivatives, which compiled modules lack.
        return compilable_modules([self.generator] if self.encoder is None else [self.generator, self.encoder])

    def before_step(self, progress: float) -> None:
        """Lower the penalty to a tenth: strong while the pictures are far apart, weak while details form."""
        self.penalty_weight = self.penalty * 0.1**progress


class GAN(GANSettings, Synthesizer):
    """A generator trained against a critic: sharp pictures in one call of the network.

    Above 16 px an encoder is trained beside it, which predicts a picture's latents; encoding starts its search there.

    Parameters
    ----------
    network
        "dcgan", designed for small sets and short runs; or "dcgan-classic", the batch-normalised one of 2016 with its
        own rates and no penalty.
    loss
        The game: "relativistic", in which generated pictures compete with real ones; or the classic one, where the
        generator minimises the "non-saturating" or the "minimax" loss. None: relativistic, and non-saturating for
        "dcgan-classic".
    size
        Pixels a side, a multiple of 4 from 8 to 128. None: the pictures' own, at most 64.
    latent
        Length of the noise vector. None: 32 up to 16 px, else 64; 100 for "dcgan-classic".
    minutes, epochs
        The run's length: a time budget, or times that each picture is shown; at most one of them. None: 40
        epochs where pictures have at most 16 px, else 10 minutes.
    batch, lr
        Pictures a step and peak learning rate. None: chosen by picture size and machine.
    seed
        Of the weights, the order of pictures and all noise.
    """

    kind: ClassVar[str] = "gan"
    needs_label: ClassVar[bool] = True

    def _configure(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        if self.network == CLASSIC:
            return self._configure_classic(prepared, gpu)
        small = prepared.size <= 16
        layout = {
            "size": prepared.size,
            "classes": len(prepared.classes),
            "latent": self.latent or (32 if small else 64),
            "width": 64 if gpu else 16 if small else 32,
        }
        return TrainingConfig(
            layout,
            # Small batches on a processor: there a step's cost is that of its pictures, and many steps are needed.
            batch=self.batch or (256 if gpu else 64 if small else 16),
            lr=self.lr or (2e-3 if small else 5e-4),
            schedule=constant_then_decay(0.5),
            method_settings={
                "loss": self.loss or "relativistic",
                "augment": list(augmentations_for(len(prepared.training), prepared.size)),
                "penalty": 1.0 if prepared.size <= 32 else 3.0,
                # Without momentum: either player would still be moving against the opponent of some steps ago.
                "betas": [0.0, 0.99],
            },
        )

    def _configure_classic(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        """As in the paper: Adam with rate 0.0002 and β₁ = 0.5, no penalty; half its width on a processor."""
        layout = {
            "size": prepared.size,
            "classes": len(prepared.classes),
            "latent": self.latent or 100,
            "width": 128 if gpu else 64 if prepared.size <= 16 else 32,
        }
        settings = {
            "loss": self.loss or "non-saturating",
            "augment": list(augmentations_for(len(prepared.training), prepared.size)),
            "penalty": 0.0,
            "betas": [0.5, 0.999],
        }
        batch = self.batch or (128 if gpu else 64)
        return TrainingConfig(
            layout, batch=batch, lr=self.lr or 2e-4, schedule=constant_then_decay(0.5), method_settings=settings
        )

    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        critic = {name: layout[name] for name in ("size", "classes", "width")}
        if self.network == CLASSIC:
            return {"generator": ClassicGenerator(**layout), "critic": ClassicCritic(**critic)}
        networks: dict[str, nn.Module] = {"generator": Generator(**layout), "critic": Critic(**critic)}
        size = layout["size"]
        if size > LAYOUT_SIZE:
            networks["encoder"] = Encoder(**critic, latent=layout["latent"], patch=choose_patch_side(size))
        return networks

    def _task(self, modules: Mapping[str, nn.Module], config: TrainingConfig) -> _GANTask:
        return _GANTask(modules, config)

    def _noise_shape(self) -> tuple[int, ...]:
        return (self.layout_["latent"],)

    def _decode(self, modules: Mapping[str, nn.Module], latents: Tensor, labels: Tensor) -> Tensor:
        pictures: Tensor = modules["generator"](latents, labels)
        return pictures

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        if "encoder" not in self.modules_:
            return super()._encode(pixels, labels)
        pictures = to_float(pixels)
        start, _ = self.modules_["encoder"](pictures, labels)
        pixel_weights = torch.ones_like(pictures[:, :1])
        return invert(lambda z: self._decode(self.modules_, z, labels), pictures, pixel_weights, start[None])

    def _complete(self, training: Images) -> None:
        """There is nothing to fit."""

    def _scores(self, modules: Mapping[str, nn.Module], pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """How often the critic ranks a held-out picture above a generated one; ½ if it cannot distinguish them."""
        seeded = torch.Generator().manual_seed(0)
        noise = torch.randn(len(pictures), *self._noise_shape(), generator=seeded).to(pictures.device)
        generated = self._decode(modules, noise, labels)
        real, fake = modules["critic"](pictures, labels), modules["critic"](generated, labels)
        return {"held_out_ranked_above_generated": float((real[:, None] > fake).float().mean())}
