"""``load``: from a folder to the model that it holds."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych import artefact
from diptych.errors import ArtefactError

if TYPE_CHECKING:
    from torch import nn

    from diptych.recognition.recognizer import Recognizer
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

HOMES = {
    "recognizer": ("diptych.recognition.recognizer", "Recognizer"),
    "gan": ("diptych.synthesis.gan", "GAN"),
    "vae": ("diptych.synthesis.vae", "VAE"),
    "flow": ("diptych.synthesis.flow", "Flow"),
}


def load(folder: str | Path, *, network: "type[nn.Module] | None" = None) -> "Recognizer | GAN | VAE | Flow":
    """Load the model that ``folder`` holds, whichever kind it is; executes nothing that is in it.

    Parameters
    ----------
    network
        The class of a recognizer that was trained with a network of one's own; ``None`` for all other models.

    Raises
    ------
    ArtefactError
        There is no model, it is damaged, was saved by a newer Diptych, or is of a kind that is not known here.
    """
    found = artefact.read(folder)
    kind = found.facts["kind"]
    if kind not in HOMES:
        raise ArtefactError(f"{folder} holds a {kind}, which this Diptych does not know. Upgrade it, or train again.")
    home, name = HOMES[kind]
    make: Any = getattr(importlib.import_module(home), name).from_artefact
    model: Recognizer | GAN | VAE | Flow = make(found) if network is None else make(found, network)
    return model
