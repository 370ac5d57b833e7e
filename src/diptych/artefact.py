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
      extension/            of a model that is being trained further (written by the engine)
      model.sig             its signature, if it was signed (``diptych sign``); saving the model again removes it
      replacement/          while a model is replaced: the files of the new one that have not been moved up yet

Loading executes no code: the files are JSON and safetensors. A folder without ``model.json`` is not a model yet.

A model is replaced so that at every moment, also after a kill, one of the two can be loaded. All files of the new one
are written to ``replacement/``, ``model.json`` last; from then on it is the model, wherever each of its files lies.
They are moved up one by one, ``model.json`` last again.
"""

import hashlib
import logging
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from diptych import json_reader, tensor_files
from diptych.card_header import with_header
from diptych.errors import ArtefactError, DataError, UsageError
from diptych.files import did_you_mean, encoded, is_occupied, json_text, move, write_bytes
from diptych.model_schema import DataFacts, ModelFacts
from diptych.pickles import why_refused

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = [
    "FORMAT", "SIGNATURE", "UNFINISHED", "Artefact", "complete", "damaged", "data", "exists", "facts", "is_finished",
    "path_of", "read", "read_bytes", "write",
]  # fmt: skip

log = logging.getLogger("diptych")
FORMAT = 2
SIGNATURE = "model.sig"
UNFINISHED = "unfinished"  # the fact that a model has while the run that it comes from can be continued
_FACTS, _WEIGHTS, _REPLACEMENT = "model.json", "weights.safetensors", "replacement"
_MODEL_FILES = (_FACTS, _WEIGHTS, "checkpoint", _REPLACEMENT)  # one exists even after an interrupted write
_VERSIONED = ("diptych", "torch", "torchvision", "timm", "numpy", "pillow")


class Page(Protocol):
    """Something that renders as one HTML page, such as a Report."""

    def html(self) -> str:
        """The page."""


@dataclass(frozen=True)
class Artefact:
    """The contents of a model folder, tensors on the CPU.

    Attributes
    ----------
    folder
        Its path.
    facts, data
        ``model.json`` and ``data.json``; the second is empty if there is no such file.
    weights
        By name.
    extra
        The tensors of the other safetensors files, by file and name.
    """

    folder: Path
    facts: dict[str, Any]
    data: dict[str, Any]
    weights: "dict[str, Tensor]"
    extra: "dict[str, dict[str, Tensor]]"


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
    card, report
        The model card, Markdown without a header, for ``README.md``, and the page for ``report.html``.
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
    contents = {_WEIGHTS: tensor_files.pack(weights), **(extra_files or {})}
    checksums = {n: hashlib.sha256(c).hexdigest() for n, c in contents.items() if n.endswith(".safetensors")}
    record = {"format": FORMAT, **facts, "versions": {"python": platform.python_version(), **versions(_VERSIONED)}}
    record["weights_sha256"] = checksums.pop(_WEIGHTS)
    record["extra_sha256"] = checksums
    if data is not None:
        contents["data.json"] = encoded(json_text(data))
    if card:
        contents["README.md"] = encoded(with_header(card, facts))
    if report is not None:
        contents["report.html"] = encoded(report.html())
    _replace(target, {**contents, _FACTS: encoded(json_text(record))})
    return target


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make these files the model in ``folder``; the facts are the last of them."""
    complete(folder)
    replacement = folder / _REPLACEMENT
    shutil.rmtree(replacement, ignore_errors=True)  # of a write that was killed before it was whole
    for name, content in contents.items():
        write_bytes(replacement / name, content)
    if (folder / SIGNATURE).exists():
        (folder / SIGNATURE).unlink(missing_ok=True)
        log.info("The signature of %s was of the model before and is removed. Sign again: diptych sign", folder)
    complete(folder)


def complete(folder: str | Path) -> None:
    """Move up the files of a model that was written to replace another one, unless it is only in part written."""
    replacement = Path(folder) / _REPLACEMENT
    if not (replacement / _FACTS).exists():
        return
    names = sorted((path.name for path in replacement.iterdir()), key=lambda name: (name == _FACTS, name))
    for name in names:
        with suppress(FileNotFoundError):  # another process of the same run has just moved it
            move(replacement / name, Path(folder) / name)
    with suppress(OSError):
        replacement.rmdir()


def path_of(folder: str | Path, name: str) -> Path:
    """Where a file of the model in ``folder`` is."""
    replacement = Path(folder) / _REPLACEMENT
    moving = (replacement / _FACTS).exists() and (replacement / name).exists()
    return replacement / name if moving else Path(folder) / name


def read_bytes(folder: Path, name: str) -> bytes:
    """The bytes of a file of the model in ``folder``; an :class:`ArtefactError` where it cannot be read."""
    read = tensor_files.read_bytes if name.endswith(".safetensors") else json_reader.read_bytes
    try:
        try:
            return read(path_of(folder, name))
        except FileNotFoundError:
            return read(folder / name)  # it has just been moved up
    except FileNotFoundError:
        raise damaged(folder / name, "it is missing") from None
    except OSError as error:
        raise damaged(folder / name, error.strerror or str(error)) from error
    except json_reader.JSONError as error:
        raise damaged(folder / name, error.reason) from None


def exists(folder: str | Path) -> bool:
    """Whether ``folder`` holds a model."""
    return path_of(folder, _FACTS).exists()


def is_finished(folder: str | Path) -> bool:
    """Whether ``folder`` holds a model whose run is over."""
    return exists(folder) and UNFINISHED not in facts(folder)


def read(folder: str | Path, kind: str | None = None) -> Artefact:
    """Read the model in ``folder``; no code is executed.

    Raises
    ------
    ArtefactError
        There is no model, it is damaged, was saved by a newer Diptych, or is not of this ``kind``.
    """
    path = Path(folder)
    while True:  # unless it is replaced while it is read, once
        model_facts = facts(path, kind)
        checksums = model_facts.get("extra_sha256", {})
        try:
            weights = _unpacked(tensor_files.unpack, path, _WEIGHTS, model_facts.get("weights_sha256"))
            extra = {name: _unpacked(tensor_files.unpack, path, name, checksum) for name, checksum in checksums.items()}
            model = Artefact(path, model_facts, data(path), weights, extra)
        except ArtefactError:
            if facts(path, kind) == model_facts:
                raise
        else:
            if facts(path, kind) == model_facts:
                return model


def data(folder: str | Path) -> dict[str, Any]:
    """The data that the model in ``folder`` was trained on (its ``data.json``); empty if it has no such file.

    Raises
    ------
    ArtefactError
        The file is damaged.
    """
    path = Path(folder) / "data.json"
    if not path_of(folder, path.name).exists():
        return {}
    return _checked(path, _parsed(path), DataFacts)


def arrays(folder: str | Path, model_facts: Mapping[str, Any]) -> "dict[str, NDArray[Any]]":
    """The weights of the model with these facts as arrays by name, read without torch.

    Raises
    ------
    ArtefactError
        They are damaged.
    """
    return _unpacked(tensor_files.unpack_arrays, Path(folder), _WEIGHTS, model_facts.get("weights_sha256"))


def _unpacked(
    unpack: Callable[[bytes], dict[str, Any]], folder: Path, name: str, checksum: str | None
) -> dict[str, Any]:
    packed = read_bytes(folder, name)
    if checksum not in (None, hashlib.sha256(packed).hexdigest()):
        raise damaged(folder / name, "its checksum does not match")
    try:
        return unpack(packed)
    except DataError as error:
        raise damaged(folder / name, str(error)) from None


def facts(folder: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The facts of the model in ``folder`` (its ``model.json``), without its weights.

    Raises
    ------
    ArtefactError
        As :func:`read`.
    """
    path = Path(folder) / _FACTS
    if not exists(folder):
        raise ArtefactError(_why_no_model(path.parent))
    model_facts = _parsed(path)
    if type(model_facts.get("format")) is not int or not isinstance(model_facts.get("kind"), str):
        raise damaged(path, "format and kind are missing")
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
    return _checked(path, model_facts, ModelFacts)


def _why_no_model(folder: Path) -> str:
    if not folder.exists():
        cure = did_you_mean(folder) or " Train one with: diptych fit"
        return f"There is no model at {folder}: the folder does not exist.{cure}"
    if refusal := why_refused(folder):
        return refusal
    if not folder.is_dir():
        return f"{folder} is a file; a model is a folder with model.json in it. Name that folder."
    if (folder / "checkpoint").is_dir():
        return f"{folder} holds a run that has not finished. Run the same fit command again to finish it."
    return f"{folder} holds no model: model.json is missing. Name a folder that diptych fit wrote."


def _parsed(path: Path) -> dict[str, Any]:
    try:
        value = json_reader.parse(read_bytes(path.parent, path.name))
    except json_reader.JSONError as error:
        raise damaged(path, error.reason) from None
    if not isinstance(value, dict):
        raise damaged(path, "it is not a JSON object")
    return value


def _checked(path: Path, value: dict[str, Any], kind: type) -> dict[str, Any]:
    """The object of a file, which has at least what ``kind`` declares, as it declares it."""
    try:
        json_reader.convert(value, kind)
    except json_reader.JSONError as error:
        raise damaged(path, error.reason) from None
    return value


def damaged(path: Path, reason: str) -> ArtefactError:
    """The error of a file of a model that is not as Diptych writes it."""
    return ArtefactError(
        f"The model in {path.parent} is damaged: {path.name}: {reason}. Restore the folder from a copy, or train again."
    )


def versions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions of packages by name; Diptych itself may be used without being installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and needed only for saving

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return {name: of(name) for name in names}
