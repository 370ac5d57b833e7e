"""The settings of the synthesizers."""

from diptych.engine.run_settings import RunSettings
from diptych.settings import declared, setting

MIN_SIZE, MAX_SIZE, SIZE_STEP = 8, 128, 4  # px


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
        "Guidance scale: higher follows the class more closely.", default=2.0, minimum=0, maximum=1000
    )
    steps: int = setting("Sampling steps; 1 or 2 after diptych tune.", default=16, minimum=1, maximum=100_000)
