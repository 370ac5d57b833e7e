"""``load``: read the model that a folder holds."""

import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych import artefact
from diptych.errors import ArtefactError
from diptych.sharing import hub

if TYPE_CHECKING:
    from torch import nn

    from diptych.recognition.gallery.gallery import Gallery
    from diptych.recognition.recognizer import Recognizer
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

log = logging.getLogger("diptych")
MODEL_CLASSES = {
    "recognizer": ("diptych.recognition.recognizer", "Recognizer"),
    "gallery": ("diptych.recognition.gallery.gallery", "Gallery"),
    "gan": ("diptych.synthesis.gan", "GAN"),
    "vae": ("diptych.synthesis.vae", "VAE"),
    "flow": ("diptych.synthesis.flow", "Flow"),
}


def load(
    folder: str | Path,
    *,
    network: "type[nn.Module] | None" = None,
    signed_by: str | os.PathLike[str] | None = None,
) -> "Recognizer | Gallery | GAN | VAE | Flow":
    """Load the model in ``folder``, of any kind; no code in it is executed.

    Parameters
    ----------
    folder
        The model's folder, or its address on the Hugging Face hub: "hf://user/name".
    network
        The class of a recognizer's custom network, also of that in a gallery; ``None`` for all other models.
    signed_by
        Load the model only as the owner of this key has signed it: their root certificate (a PEM file), or its
        fingerprint. ``None``: signed or not.

    Raises
    ------
    DataError
        The model is not signed, was changed since, or is signed by somebody else.
    ArtefactError
        There is no model, it is damaged, was saved by a newer Diptych, or its kind is not known.
    UsageError
        The hub cannot be reached, or refuses.
    """
    folder = hub.local_folder(folder)
    if signed_by is not None:
        from diptych.signing.verify import require_signature

        require_signature(Path(folder), signed_by)
    saved = artefact.read(folder)
    kind = saved.facts["kind"]
    if kind not in MODEL_CLASSES:
        raise ArtefactError(
            f"{folder} holds a {kind}, a kind unknown to this Diptych. Upgrade Diptych, or train again."
        )
    if artefact.UNFINISHED in saved.facts:
        log.warning("%s comes from a run that has not finished. The command that began it continues it.", folder)
    module, name = MODEL_CLASSES[kind]
    restore: Any = getattr(importlib.import_module(module), name).from_artefact
    model: Recognizer | Gallery | GAN | VAE | Flow = restore(saved) if network is None else restore(saved, network)
    return model
