"""The settings of the synthesizers."""

from diptych.engine.run_settings import RunSettings
from diptych.errors import UsageError
from diptych.settings import declared, setting

MIN_SIZE, MAX_SIZE, SIZE_STEP = 8, 128, 4  # px
MAX_GUIDANCE = 1000
INSTEAD = "Fit a flow with epsilon (diptych fit flow DATA --epsilon 8), or leave epsilon out."


@declared
class SynthesizerSettings(RunSettings):
    """Those that all synthesizers have."""

    network: str = setting("The network.", default="", kw_only=False)
    size: int | None = setting(
        "Side length of the pictures in px.",
        default=None,
        minimum=MIN_SIZE,
        maximum=MAX_SIZE,
        multiple=SIZE_STEP,
        automatic="from the data",
    )


@declared
class GANSettings(SynthesizerSettings):
    """See :class:`diptych.synthesis.gan.GAN`."""

    network: str = setting(
        "dcgan, or dcgan-classic (the one of 2016).",
        default="dcgan",
        kw_only=False,
        choices=("dcgan", "dcgan-classic"),
    )
    loss: str | None = setting(
        "relativistic, non-saturating or minimax.",
        default=None,
        choices=("relativistic", "non-saturating", "minimax"),
        automatic="the first; classic: the second",
    )
    latent: int | None = setting(
        "Dimension of the latent space.", default=None, minimum=1, maximum=4096, automatic="chosen"
    )

    def check_settings(self) -> None:
        """Refuse values out of range, and ``epsilon``, whose promise a GAN would break."""
        super().check_settings()
        if self.epsilon is not None:
            raise UsageError(
                "A GAN cannot be trained with epsilon here: its critic is penalised by gradients with respect to the "
                "pictures, and compares the pictures of a batch with each other, so that no gradient is that of one "
                f"picture. {INSTEAD}"
            )


@declared
class VAESettings(SynthesizerSettings):
    """See :class:`diptych.synthesis.vae.VAE`."""

    network: str = setting("convvae.", default="convvae", kw_only=False, choices=("convvae",))
    beta: float = setting(
        "Weight of the KL divergence: above 1 for more disentangled latents.", default=1.0, minimum=0, maximum=1e6
    )
    prior: str = setting(
        "Distribution that latents are sampled from: mixture (fitted, sharper) or normal.",
        default="mixture",
        choices=("mixture", "normal"),
    )
    latent: int | None = setting(
        "Dimension of the latent space.", default=None, minimum=1, maximum=4096, automatic="chosen"
    )

    def check_settings(self) -> None:
        """Refuse values out of range, and ``epsilon``, whose promise a VAE would break."""
        super().check_settings()
        if self.epsilon is not None:
            raise UsageError(
                "A VAE cannot be trained with epsilon here: its noise level and the least information of its latents "
                "are those of a whole batch, and its prior is fitted to encoded training pictures without noise. "
                f"{INSTEAD}"
            )


@declared
class FlowSettings(SynthesizerSettings):
    """See :class:`diptych.synthesis.flow.Flow`."""

    network: str = setting(
        "unet (sized by pictures, machine and minutes), unet-small or unet-large.",
        default="unet",
        kw_only=False,
        choices=("unet", "unet-small", "unet-large"),
    )
    # At 1.5, 2, 2.5 twenty minutes of CIFAR-10 on a processor come to distances of 103, 67, 49 from its training
    # pictures (n = 2,000), but digits lose variety: recall 0.87, 0.78, 0.67.
    guidance: float = setting(
        "Guidance scale: higher follows the class more closely.", default=2.0, minimum=0, maximum=MAX_GUIDANCE
    )
    steps: int = setting("Sampling steps; 1 or 2 after diptych tune.", default=16, minimum=1, maximum=100_000)
