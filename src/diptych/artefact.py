"""The artefact: the folder is the model.

::

    models/pets/
      model.json            format, kind, parameters, classes, preprocessing, versions; written last
      weights.safetensors   final weights
      embeddings.safetensors  of a recognizer: the embeddings of its training pictures
      data.json             what it was trained on
      README.md             model card
      report.html           the training report
      history.jsonl         one record per tick (written by the engine)
      checkpoint/           only to resume a run (written by the engine)

Loading executes no code: the files are JSON and safetensors. A folder without ``model.json`` is not a model yet.
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

__all__ = ["FORMAT", "Artefact", "data", "extra_tensors", "facts", "pack", "read", "write", "write_bytes", "write_text"]

FORMAT = 2
_MODEL_FILES = ("model.json", "weights.safetensors", "checkpoint")  # one exists even after an interrupted write
_VERSIONED = ("diptych", "torch", "torchvision", "timm", "numpy", "pillow")


class Page(Protocol):
    """Something that renders as one HTML page, such as a Report."""

    def html(self) -> str:
        """The page."""


@dataclass(frozen=True)
class Artefact:
    """The contents of a model folder: its path, its facts (``model.json``) and its weights by name, on the CPU."""

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
    extra_files: Mapping[str, bytes] | None = None,
) -> Path:
    """Save a model into ``folder``, replacing an earlier one; returns the folder.

    Parameters
    ----------
    facts
        JSON-able; must hold "kind". The format, the versions of the libraries and the weights' checksum are added.
    weights
        Tensors by name, on any device and in any memory layout, shared storage included.
    data
        The data it was trained on, for ``data.json``.
    card
        The model card, Markdown, for ``README.md``.
    report
        The page for ``report.html``.
    extra_files
        Further files by name; for safetensors (see :func:`pack`) the checksum is added to the facts.

    Raises
    ------
    UsageError
        The folder contains other files, such as a project with its own README.md.
    """
    target = Path(folder)
    if is_occupied(target) and not any((target / name).exists() for name in _MODEL_FILES):
        raise UsageError(f"{target} already contains files that are not a model. Name a new or an empty folder.")
    packed, extra = pack(weights), dict(extra_files or {})
    complete = {"format": FORMAT, **facts, "versions": {"python": platform.python_version(), **versions(_VERSIONED)}}
    complete["weights_sha256"] = hashlib.sha256(packed).hexdigest()
    tensors = {name: content for name, content in extra.items() if name.endswith(".safetensors")}
    complete["extra_sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in tensors.items()}
    # Without model.json the folder is not a model, so old facts are never paired with new weights.
    (target / "model.json").unlink(missing_ok=True)
    write_bytes(target / "weights.safetensors", packed)
    for name, content in extra.items():
        write_bytes(target / name, content)
    if data is not None:
        write_text(target / "data.json", _json(data))
    if card:
        write_text(target / "README.md", card)
    if report is not None:
        write_text(target / "report.html", report.html())
    write_text(target / "model.json", _json(complete))
    return target


def read(folder: str | Path, kind: str | None = None) -> Artefact:
    """Read the model in ``folder``; no code is executed.

    Raises
    ------
    ArtefactError
        There is no model, it is damaged, was saved by a newer Diptych, or is not of this ``kind``.
    """
    model_facts = facts(folder, kind)
    path = Path(folder) / "weights.safetensors"
    return Artefact(Path(folder), model_facts, _tensors(path, model_facts.get("weights_sha256")))


def extra_tensors(artefact: Artefact, name: str) -> "dict[str, Tensor] | None":
    """The tensors of a further safetensors file of the model; ``None`` if it was saved without that file.

    Raises
    ------
    ArtefactError
        The file is damaged or missing.
    """
    checksum = artefact.facts.get("extra_sha256", {}).get(name)
    return None if checksum is None else _tensors(artefact.folder / name, checksum)


def data(folder: str | Path) -> dict[str, Any]:
    """The data that the model in ``folder`` was trained on (its ``data.json``); empty if it has no such file.

    Raises
    ------
    ArtefactError
        The file is damaged.
    """
    path = Path(folder) / "data.json"
    return _parse_object(path, _read_text(path)) if path.exists() else {}


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
        tensors = load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error
    return {name: torch.as_tensor(tensor) for name, tensor in tensors.items()}


def facts(folder: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The facts of the model in ``folder`` (its ``model.json``), without its weights.

    Raises
    ------
    ArtefactError
        As :func:`read`.
    """
    path = Path(folder) / "model.json"
    model_facts = _parse_object(path, _read_text(path))
    if type(model_facts.get("format")) is not int or not isinstance(model_facts.get("kind"), str):
        raise _damaged(path, "format and kind are missing")
    if model_facts["format"] > FORMAT:
        raise ArtefactError(
            f"{folder} was saved by a newer Diptych (format {model_facts['format']}; this one reads up to {FORMAT}). "
            "Upgrade with: pip install --upgrade diptych"
        )
    if model_facts["format"] < FORMAT:
        raise ArtefactError(
            f"{folder} was saved by an earlier Diptych (format {model_facts['format']}; this one reads {FORMAT}). "
            "Fit the model again into a new folder, or load it with the version that saved it."
        )
    if kind is not None and model_facts["kind"] != kind:
        raise ArtefactError(f"{folder} holds a {model_facts['kind']}, not a {kind}. Name the folder of a {kind}.")
    return model_facts


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactError(_why_no_model(path.parent)) from None
    except UnicodeDecodeError as error:
        raise _damaged(path, "it is not UTF-8 text") from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error


def _why_no_model(folder: Path) -> str:
    if not folder.exists():
        return f"There is no model at {folder}: the folder does not exist. Train one with: diptych fit"
    if not folder.is_dir():
        return f"{folder} is a file; a model is a folder with model.json in it. Name that folder."
    if (folder / "checkpoint").is_dir():
        return f"{folder} holds a run that has not finished. Run the same fit command again to finish it."
    return f"{folder} holds no model: model.json is missing. Name a folder that diptych fit wrote."


def _parse_object(path: Path, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise _damaged(path, "it is not a JSON object")
    return value


def _damaged(path: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"The model in {path.parent} is damaged: {path.name}: {reason}. Restore the folder from a copy, or train again."
    )


def pack(weights: "Mapping[str, Tensor]") -> bytes:
    """Tensors by name as the bytes of a safetensors file."""
    import torch
    from safetensors.torch import save

    # Copied one by one: safetensors refuses tensors that share storage or are not laid out row by row.
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
    """The value with NaN and infinity, which JSON does not have, replaced by null."""
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions of packages by name; Diptych itself may be used without being installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and needed only for saving

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return {name: of(name) for name in names}
