"""GAN: a generator and a critic against each other (Goodfellow et al. 2014).

From 20 px on, half of the pictures made are also to look like a real one from afar: an encoder tells the generator
which (VAE/GAN, Larsen et al. 2016). The layouts of all real pictures are learnt so within minutes, where the game alone
begins with textures and forgets kinds of pictures; and a fitted GAN can encode.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.data.transforms import to_float
from diptych.engine.optim import Optimizer, adamw
from diptych.engine.schedule import hold_then_fall
from diptych.errors import UsageError
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.editing import latents as ways
from diptych.synthesis.networks.convvae import Encoder, patch_for
from diptych.synthesis.networks.dcgan import STDDEV_GROUP, Critic, Generator
from diptych.synthesis.networks.dcgan_classic import ClassicCritic, ClassicGenerator
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training.augmentation import augmentations_for, diff_augment
from diptych.synthesis.training.config import TrainingConfig, compilable_modules
from diptych.synthesis.vae import gaussian_kl, gaussian_nll, negative_elbo, optimal_log_sigma

LOSSES = ("relativistic", "non-saturating", "minimax")
CLASSIC = "dcgan-classic"
AFAR = 16  # px: about the side at which a picture is compared with the one that it was encoded from
NAT = 0.01  # what a nat of that comparison weighs beside the generator's loss in the game


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the critic minimises: −E[log D(x)] − E[log(1 − D(G(z)))], with D = sigmoid(logit).

    Goodfellow et al. 2014, equation 1, negated: the critic maximises the value V(D, G) in both forms of the game.
    ``real`` and ``fake`` are logits (B,); 2·log 2 where the critic cannot tell (D = 1/2).
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_loss(fake: Tensor) -> Tensor:
    """What the generator minimises in the minimax game: E[log(1 − D(G(z)))] (2014, equation 1).

    Its gradient vanishes where the critic is sure, D(G(z)) near 0.
    """
    return -F.softplus(fake).mean()


def non_saturating_loss(fake: Tensor) -> Tensor:
    """The generator's other loss: −E[log D(G(z))] (2014, section 3).

    It has the same fixed point, and its gradient is largest where the critic is sure.
    """
    return F.softplus(-fake).mean()


def relativistic_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """What either side minimises in the relativistic game: E[softplus(loser − winner)], over pairs of logits (B,).

    The critic is to rank each real picture over a made one, and the generator the other way round
    (Jolicoeur-Martineau 2019, "The relativistic discriminator", section 4.2; Huang et al. 2024, "The GAN is dead; long
    live the GAN!", equation 2). A generator that makes one kind of picture only is told so: the real pictures that
    it leaves out keep winning.
    """
    return F.softplus(loser - winner).mean()


def gradient_penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """E‖∇D(x)‖², the R1 penalty at real or R2 at made pictures (Mescheder et al. 2018, equation 9).

    It keeps the game converging near its end: the critic may not have slope where the pictures already are.
    ``pictures`` need gradients.
    """
    (slope,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return slope.float().square().sum(dim=(1, 2, 3)).mean()


def layout_loss(made: Tensor, pictures: Tensor, kl: Tensor) -> Tensor:
    """−ELBO of the pictures (n, 3, S, S) that the first n made ones were encoded from, seen from afar; 0 if n is 0.

    Both are shrunk to 16 to 31 px by averaging whole cells, so that edges and texture are the critic's business alone
    (Larsen et al. 2016, equation 8, with what is seen from afar for the critic's features). ``kl`` (n, D) in nats.
    """
    if not len(kl):
        return made.new_zeros(())
    times = max(1, made.shape[-1] // AFAR)
    seen, meant = (F.avg_pool2d(some[: len(kl)].float(), times) for some in (made, pictures))
    return negative_elbo(gaussian_nll(meant, seen, optimal_log_sigma(meant, seen)), kl)


class _Game:
    """The training task: the critic yields first, so the generator meets the stepped critic."""

    def __init__(self, modules: Mapping[str, nn.Module], choices: TrainingConfig) -> None:
        self.generator, self.critic, self.encoder = modules["generator"], modules["critic"], modules.get("encoder")
        self.mixes = any(isinstance(module, nn.BatchNorm2d) for module in self.critic.modules())
        self.choices = choices
        self.latent: int = choices.layout["latent"]
        self.augment, self.penalty = choices.more["augment"], choices.more["penalty"]
        self.weight = self.penalty
        self.loss: str = choices.more["loss"]

    def modules(self) -> Mapping[str, nn.Module]:
        encoder = {} if self.encoder is None else {"encoder": self.encoder}
        return {"generator": self.generator, "critic": self.critic, **encoder}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        """The encoder is on the generator's side."""
        critic = self.modules()["critic"]
        others = [module for module in self.modules().values() if module is not critic]
        return {"generator": [p for m in others for p in m.parameters()], "critic": list(critic.parameters())}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        first, second = self.choices.more["betas"]
        return {p: [adamw(some, self.choices.lr, 0.0, (first, second))] for p, some in self.players().items()}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        latents, kl = self._latents(images, labels)
        made = self.generator(latents, labels)
        shown = diff_augment(torch.cat([images, made.detach().to(images.dtype)]), self.augment)
        shown.requires_grad_(self.penalty > 0)
        verdicts = self._verdicts(shown, labels)
        loss = self._critic_loss(*verdicts.float().chunk(2))
        if self.penalty > 0:
            # The mean over both kinds, twice: E‖∇D(x)‖² at real pictures and at made ones.
            loss = loss + self.weight * gradient_penalty(verdicts, shown)
        yield "critic", loss
        on_fake = self.critic(diff_augment(made, self.augment), labels).float()
        yield "generator", self._generator_loss(on_fake, images, labels) + NAT * layout_loss(made, images, kl)

    def _latents(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, D), the first of them encoded from the first of the pictures, and the KL of those (n, D)."""
        noise = torch.randn(len(images), self.latent, device=images.device)
        if self.encoder is None:
            return noise, noise[:0]
        encoded = -(-len(images) // 2)
        mean, log_variance = self.encoder(images[:encoded], labels[:encoded])
        known = mean + noise[:encoded] * (0.5 * log_variance).exp()
        return torch.cat([known, noise[encoded:]]), gaussian_kl(mean, log_variance)

    def _verdicts(self, shown: Tensor, labels: Tensor) -> Tensor:
        """Logits (2·B,) of real pictures and as many made ones, (2·B, 3, S, S).

        In one call where that may be: small batches leave a processor's threads waiting for each other. Batch norm,
        though, would let the critic know either kind by the other, and so would pictures of both compared in one group.
        """
        if self.mixes or len(labels) % STDDEV_GROUP:
            return torch.cat([self.critic(kind, labels) for kind in shown.chunk(2)])
        verdicts: Tensor = self.critic(shown, labels.repeat(2))
        return verdicts

    def _critic_loss(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        if self.loss == "relativistic":
            return relativistic_loss(on_real, on_fake)
        return critic_loss(on_real, on_fake)

    def _generator_loss(self, on_fake: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        if self.loss == "relativistic":
            with torch.no_grad():
                on_real = self.critic(diff_augment(images, self.augment), labels).float()
            return relativistic_loss(on_fake, on_real)
        return minimax_loss(on_fake) if self.loss == "minimax" else non_saturating_loss(on_fake)

    def compilable(self) -> list[nn.Module]:
        # Not the critic: its penalty needs second derivatives, which compiled modules lack.
        return compilable_modules([self.generator] if self.encoder is None else [self.generator, self.encoder])

    def before_step(self, progress: float) -> None:
        """The penalty falls to a tenth: strong while the pictures are far apart, weak while details form."""
        self.weight = self.penalty * 0.1**progress


class GAN(Synthesizer):
    """A generator trained against a critic: sharp pictures in one call of the network.

    Above 16 px an encoder learns beside it which latents a picture comes from; to encode one, a search begins there.

    Parameters
    ----------
    network
        "dcgan", made for small sets and short runs; or "dcgan-classic", the batch-normalised one of 2016 with its
        own rates and no penalty.
    loss
        The game: "relativistic", in which made pictures compete with real ones; or the classic one, where the
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
    networks: ClassVar[tuple[str, ...]] = ("dcgan", CLASSIC)
    needs_label: ClassVar[bool] = True

    def __init__(
        self,
        network: str = "dcgan",
        *,
        loss: str | None = None,
        size: int | None = None,
        latent: int | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        batch: int | None = None,
        lr: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(network, size=size, minutes=minutes, epochs=epochs, batch=batch, lr=lr, seed=seed)
        self.loss = loss
        self.latent = latent

    def _check(self) -> None:
        super()._check()
        if self.loss is not None and self.loss not in LOSSES:
            raise UsageError(f"The GAN's loss is one of {', '.join(LOSSES)}, not {self.loss!r}.")

    def _choose(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        if self.network == CLASSIC:
            return self._choose_classic(prepared, gpu)
        small = prepared.size <= 16
        layout = {
            "size": prepared.size,
            "classes": len(prepared.classes),
            "latent": self.latent or (32 if small else 64),
            "width": 64 if gpu else 16 if small else 32,
        }
        return TrainingConfig(
            layout,
            # Small batches on a processor: there a step costs what its pictures do, and steps are what it takes.
            batch=self.batch or (256 if gpu else 64 if small else 16),
            lr=self.lr or (2e-3 if small else 5e-4),
            schedule=hold_then_fall(0.5),
            more={
                "loss": self.loss or "relativistic",
                "augment": list(augmentations_for(len(prepared.train), prepared.size)),
                "penalty": 1.0 if prepared.size <= 32 else 3.0,
                # Without momentum: either player would still be moving against the opponent of some steps ago.
                "betas": [0.0, 0.99],
            },
        )

    def _choose_classic(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        """As in the paper: Adam with rate 0.0002 and β₁ = 0.5, no penalty; half its width on a processor."""
        layout = {
            "size": prepared.size,
            "classes": len(prepared.classes),
            "latent": self.latent or 100,
            "width": 128 if gpu else 64 if prepared.size <= 16 else 32,
        }
        more = {
            "loss": self.loss or "non-saturating",
            "augment": list(augmentations_for(len(prepared.train), prepared.size)),
            "penalty": 0.0,
            "betas": [0.5, 0.999],
        }
        batch = self.batch or (128 if gpu else 64)
        return TrainingConfig(layout, batch=batch, lr=self.lr or 2e-4, schedule=hold_then_fall(0.5), more=more)

    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        critic = {name: layout[name] for name in ("size", "classes", "width")}
        if self.network == CLASSIC:
            return {"generator": ClassicGenerator(**layout), "critic": ClassicCritic(**critic)}
        built: dict[str, nn.Module] = {"generator": Generator(**layout), "critic": Critic(**critic)}
        size = layout["size"]
        if size > AFAR:
            built["encoder"] = Encoder(**critic, latent=layout["latent"], patch=patch_for(size))
        return built

    def _task(self, modules: Mapping[str, nn.Module], choices: TrainingConfig) -> _Game:
        return _Game(modules, choices)

    def _noise_shape(self) -> tuple[int, ...]:
        return (self.layout_["latent"],)

    def _decode(self, modules: Mapping[str, nn.Module], latents: Tensor, labels: Tensor) -> Tensor:
        made: Tensor = modules["generator"](latents, labels)
        return made

    def _encode(self, pixels: Tensor, labels: Tensor) -> Tensor:
        if "encoder" not in self.modules_:
            return super()._encode(pixels, labels)
        pictures = to_float(pixels)
        start, _ = self.modules_["encoder"](pictures, labels)
        seen = torch.ones_like(pictures[:, :1])
        return ways.invert(lambda z: self._decode(self.modules_, z, labels), pictures, seen, start[None])

    def _complete(self, prepared: PreparedData) -> None:
        """Nothing is left to do."""

    def _scores(self, modules: Mapping[str, nn.Module], pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """How often the critic ranks a picture that it never saw over a made one; ½ if it cannot tell."""
        seeded = torch.Generator().manual_seed(0)
        noise = torch.randn(len(pictures), *self._noise_shape(), generator=seeded).to(pictures.device)
        made = self._decode(modules, noise, labels)
        on_real, on_made = modules["critic"](pictures, labels), modules["critic"](made, labels)
        return {"held_out_ranked_over_made": float((on_real[:, None] > on_made).float().mean())}
