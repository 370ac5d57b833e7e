"""What ``model.json`` says of a synthesizer, with the ranges of what its networks are built from."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from diptych import json_reader
from diptych.artefact import Artefact
from diptych.model_schema import ModelFacts
from diptych.stored_networks import convert_facts, damaged
from diptych.synthesis.settings import MAX_SIZE, MIN_SIZE, SIZE_STEP

Size = Annotated[int, Meta(ge=MIN_SIZE, le=MAX_SIZE, multiple_of=SIZE_STEP)]
Classes = Annotated[int, Meta(ge=0)]
Latent = Annotated[int, Meta(ge=1, le=4096)]
Width = Annotated[int, Meta(ge=1, le=4096)]  # channels of the finest grid
Multiple = Annotated[int, Meta(ge=1, le=64)]  # of the width, at each level
Patch = Literal[1, 2, 4]
Share = Annotated[float, Meta(ge=0, le=1)]


class Layout(Struct):
    """What the networks of every synthesizer are built from."""

    size: Size
    classes: Classes
    width: Width


class GANLayout(Layout):
    """See :mod:`diptych.synthesis.networks.dcgan`."""

    latent: Latent = 64


class VAELayout(Layout):
    """See :mod:`diptych.synthesis.networks.convvae` and :mod:`diptych.synthesis.priors`."""

    latent: Latent
    patch: Patch
    components: Annotated[int, Meta(ge=1, le=2**16)]
    group: Annotated[int, Meta(ge=1, le=1024)]


class FlowLayout(Layout):
    """See :mod:`diptych.synthesis.networks.unet`."""

    patch: Patch = 1
    multiples: Annotated[tuple[Multiple, ...], Meta(min_length=1, max_length=8)] = (1, 2, 2)
    blocks: Annotated[int, Meta(ge=1, le=16)] = 1
    attention: Annotated[int, Meta(ge=0, le=MAX_SIZE)] = 8
    windows: bool = False
    dropout: Share = 0.0
    tuned: bool = False
    steps: Annotated[int, Meta(ge=1)] = 1


class RunIdentity(Struct):
    """Of the settings of the run those that a tuning takes over."""

    batch: Annotated[int, Meta(ge=1)] | None = None
    learning_rate: Annotated[float, Meta(gt=0)] | None = None


class SynthesizerFacts(ModelFacts, kw_only=True):
    """``model.json`` of a synthesizer."""

    network: str
    classes: list[str]
    shares: list[Share]
    size: Size
    layout: dict[str, Any]
    settings: dict[str, Any]


LAYOUTS: dict[str, type[Layout]] = {"gan": GANLayout, "vae": VAELayout, "flow": FlowLayout}


def check_synthesizer(saved: Artefact) -> None:
    """Check what an artefact says of its synthesizer, before a network is built from it.

    Raises
    ------
    ArtefactError
        It cannot be, or contradicts itself.
    """
    facts = convert_facts(saved, SynthesizerFacts)
    try:
        layout = json_reader.convert(facts.layout, LAYOUTS[facts.kind], "$.layout")
        json_reader.convert(facts.settings, RunIdentity, "$.settings")
    except json_reader.JSONError as error:
        raise damaged(saved, error.reason) from None
    if not layout.classes == len(facts.classes) == len(set(facts.classes)) == len(facts.shares):
        raise damaged(
            saved,
            f"$.layout.classes is {layout.classes}, $.classes has {len(set(facts.classes))} names and $.shares "
            f"{len(facts.shares)} numbers, which must agree",
        )
    if facts.shares and not any(facts.shares):
        raise damaged(saved, "$.shares has zeros alone")
    if layout.size != facts.size:
        raise damaged(saved, f"$.layout.size is {layout.size}, and $.size {facts.size}")
