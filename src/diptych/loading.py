"""``load``: from a folder to the model that it holds."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from diptych import artefact
from diptych.errors import ArtefactError

if TYPE_CHECKING:
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


def load(folder: str | Path) -> "Recognizer | GAN | VAE | Flow":
    """Load the model that ``folder`` holds, whichever kind it is; executes nothing.

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
    model: Recognizer | GAN | VAE | Flow = getattr(importlib.import_module(home), name).from_artefact(found)
    return model
