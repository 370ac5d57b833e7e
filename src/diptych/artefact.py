"""The artefact: the folder is the model.

::

    models/pets/
      model.json            format, kind, parameters, classes, preprocessing, versions; written last
      weights.safetensors   final weights
      embeddings.safetensors  of a recognizer: the embeddings of its training pictures
      data.json             what it was trained on
      README.md             model card
      report.html           what a person looks at
      history.jsonl         one record a tick (the engine's)
      checkpoint/           resume only (the engine's)

Loading executes nothing: JSON and safetensors. A folder without ``model.json`` is no model yet.
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from diptych.errors import ArtefactError, UsageError
from diptych.files import is_occupied, write_bytes, write_text

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FORMAT", "Artefact", "beside", "data", "facts", "pack", "read", "write", "write_bytes", "write_text"]

FORMAT = 1
_OURS = ("model.json", "weights.safetensors", "checkpoint")  # one of them is there even when a write was cut short
_VERSIONED = ("diptych", "torch", "torchvision", "timm", "numpy", "pillow")


class Page(Protocol):
    """What can be shown as one HTML page, such as a Report."""

    def html(self) -> str:
        """The page."""


@dataclass(frozen=True)
class Artefact:
    """What a model folder holds: where it is, its facts (``model.json``) and its weights by name, on the CPU."""

    folder: Path
    facts: dict[str, Any]
    weights: "dict[str, Tensor]"


def write(
    folder: str | Path,
    facts: Mapping[str, Any],
    weights: "Mapping[str, Tensor]",
    *,
    data: Mapping[str, Any] | None = None,
    card: str = "",
    report: Page | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Path:
    """Save a model into ``folder``, replacing the one that is there; returns the folder.

    Parameters
    ----------
    facts
        JSON-able; must hold "kind". The format, the versions of the libraries and the weights' checksum are added.
    weights
        Tensors by name, on any device and in any memory layout, shared storage included.
    data
        What it was trained on, for ``data.json``.
    card
        The model card, Markdown, for ``README.md``.
    report
        The page for ``report.html``.
    beside
        Further files by name; of safetensors (see :func:`pack`) the checksum is added to the facts.

    Raises
    ------
    UsageError
        The folder holds something else, such as a project with a README.md of its own.
    """
    target = Path(folder)
    if is_occupied(target) and not any((target / name).exists() for name in _OURS):
        raise UsageError(f"{target} holds something already that is no model. Name a new or an empty folder.")
    packed, more = pack(weights), dict(beside or {})
    written = {"format": FORMAT, **facts, "versions": {"python": platform.python_version(), **versions(_VERSIONED)}}
    written["weights_sha256"] = hashlib.sha256(packed).hexdigest()
    tensors = {name: content for name, content in more.items() if name.endswith(".safetensors")}
    written["beside_sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in tensors.items()}
    # While model.json is away the folder is no model, so no moment pairs old facts with new weights.
    (target / "model.json").unlink(missing_ok=True)
    write_bytes(target / "weights.safetensors", packed)
    for name, content in more.items():
        write_bytes(target / name, content)
    if data is not None:
        write_text(target / "data.json", _json(data))
    if card:
        write_text(target / "README.md", card)
    if report is not None:
        write_text(target / "report.html", report.html())
    write_text(target / "model.json", _json(written))
    return target


def read(folder: str | Path, kind: str | None = None) -> Artefact:
    """Read the model in ``folder``; executes nothing.

    Raises
    ------
    ArtefactError
        There is no model, it is damaged, was saved by a newer Diptych, or is not of this ``kind``.
    """
    told = facts(folder, kind)
    path = Path(folder) / "weights.safetensors"
    return Artefact(Path(folder), told, _tensors(path, told.get("weights_sha256")))


def beside(found: Artefact, name: str) -> "dict[str, Tensor] | None":
    """The tensors of a further file of the model; ``None`` if it was saved without one.

    Raises
    ------
    ArtefactError
        The file is damaged or missing.
    """
    checksum = found.facts.get("beside_sha256", {}).get(name)
    return None if checksum is None else _tensors(found.folder / name, checksum)


def data(folder: str | Path) -> dict[str, Any]:
    """What the model in ``folder`` was trained on (its ``data.json``); empty where it does not say.

    Raises
    ------
    ArtefactError
        The file is damaged.
    """
    path = Path(folder) / "data.json"
    return _object(path, _text(path)) if path.exists() else {}


def _tensors(path: Path, checksum: str | None) -> "dict[str, Tensor]":
    """The tensors of a safetensors file by name, on the CPU."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if checksum not in (None, hashlib.sha256(packed).hexdigest()):
        raise _damaged(path, "its checksum does not match")
    try:
        held = load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error
    return {name: torch.as_tensor(tensor) for name, tensor in held.items()}


def facts(folder: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The facts of the model in ``folder`` (its ``model.json``), without its weights.

    Raises
    ------
    ArtefactError
        As :func:`read`.
    """
    path = Path(folder) / "model.json"
    told = _object(path, _text(path))
    if type(told.get("format")) is not int or not isinstance(told.get("kind"), str):
        raise _damaged(path, "it names no format and kind")
    if told["format"] > FORMAT:
        raise ArtefactError(
            f"{folder} was saved by a newer Diptych (format {told['format']}; this one reads up to {FORMAT}). "
            "Upgrade with: pip install --upgrade diptych"
        )
    if kind is not None and told["kind"] != kind:
        raise ArtefactError(f"{folder} holds a {told['kind']}, not a {kind}. Name the folder of a {kind}.")
    return told


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactError(_absent(path.parent)) from None
    except UnicodeDecodeError as error:
        raise _damaged(path, "it is no UTF-8 text") from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error


def _absent(folder: Path) -> str:
    if not folder.exists():
        return f"There is no model at {folder}: no such folder. Train one with: diptych fit"
    if not folder.is_dir():
        return f"{folder} is a file; a model is a folder that holds model.json. Name the folder."
    if (folder / "checkpoint").is_dir():
        return f"{folder} holds a run that has not finished. Run the same fit command again to finish it."
    return f"{folder} holds no model (no model.json in it). Name the folder that diptych fit wrote."


def _object(path: Path, text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise _damaged(path, "it holds no JSON object")
    return told


def _damaged(path: Path, why: str) -> ArtefactError:
    return ArtefactError(
        f"The model in {path.parent} is damaged: {path.name}: {why}. Restore the folder from a copy, or train again."
    )


def pack(weights: "Mapping[str, Tensor]") -> bytes:
    """Tensors by name as the bytes of a safetensors file."""
    import torch
    from safetensors.torch import save

    # A copy each: safetensors refuses tensors that share storage or are not laid out row by row.
    return save(
        {
            name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)
            for name, tensor in weights.items()
        },
        metadata={"format": "pt"},
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(_strict(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions(names: Iterable[str]) -> dict[str, str]:
    """Of packages by name; Diptych itself need not be installed to be used."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and needed only for saving

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return {name: of(name) for name in names}
