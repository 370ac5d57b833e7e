"""Loading the model that a verb needs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diptych.errors import ArtefactError

SYNTHESIZERS = ("gan", "vae", "flow")
_NEEDED = {
    ("recognizer",): "a recognizer",
    ("flow",): "a flow",
    ("gallery",): "a gallery, as diptych enroll makes it",
    ("recognizer", "gallery"): "a recognizer or a gallery",
    ("recognizer", *SYNTHESIZERS): "a recognizer or a synthesizer (gan, vae or flow)",
}


def load_model(folder: Path, *kinds: str) -> Any:
    """The model in ``folder``, which must be of one of ``kinds``; the kind is checked before torch is imported.

    Raises
    ------
    ArtefactError
        There is no model, or it is of another kind.
    """
    from diptych import artefact
    from diptych.sharing import hub

    named, folder = folder, hub.local_folder(folder)
    kind = artefact.facts(folder)["kind"]
    if kind not in kinds:
        required = _NEEDED.get(kinds, "a synthesizer (gan, vae or flow)")
        named_as = hub.Address.read(str(named)) if hub.is_address(named) else named
        raise ArtefactError(f"{named_as} holds a {kind}; this command needs {required}. Name the folder of one.")
    with _garbage_kept():
        from diptych.loading import load

        return load(folder)


def default_output(model: Path, word: str) -> Path:
    """The folder beside a model, or in the current one for a model of the hub, whose name ends in "-word"."""
    from diptych.sharing import hub

    if hub.is_address(model):
        return Path(f"{hub.Address.read(str(model)).name.rpartition('/')[2]}-{word}")
    return model.with_name(f"{model.resolve().name}-{word}")


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Without looking for garbage: importing torch makes next to none, and looking takes a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_predictor(path: Path, *kinds: str) -> Any:
    """The recognizer in a folder, or the exported one in an .onnx file, which needs no torch.

    Raises
    ------
    ArtefactError
        There is no model, it is damaged, or it is of another kind.
    """
    if path.suffix.lower() != ".onnx" or path.is_dir():
        return load_model(path, *kinds)
    from diptych.exporting.portable import Portable

    return Portable.open(path)
