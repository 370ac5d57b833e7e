"""Loading the model that a verb needs."""

from pathlib import Path
from typing import Any

from diptych.errors import ArtefactError

SYNTHESIZERS = ("gan", "vae", "flow")


def loaded(folder: Path, *kinds: str) -> Any:
    """The model in ``folder``; its kind is checked before torch is imported.

    Raises
    ------
    ArtefactError
        There is no model, or one of another kind.
    """
    from diptych import artefact

    kind = artefact.facts(folder)["kind"]
    if kind not in kinds:
        wanted = "a recognizer" if kinds == ("recognizer",) else "a synthesizer (gan, vae or flow)"
        raise ArtefactError(f"{folder} holds a {kind}; this verb needs {wanted}. Name the folder of one.")
    from diptych.loading import load

    return load(folder)
