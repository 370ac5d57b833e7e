"""Where pretrained weights are: in a file or folder that a person names, or in the hub's cache on this machine.

A folder has the layout of the Hugging Face hub (``config.json`` of timm beside ``model.safetensors``), or
holds files named after their backbone (``resnet18.a1_in1k.safetensors``), or holds such folders. Only
:func:`fetch_weights` uses the network, and only where a person names a backbone without a path (``timm:NAME``).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from diptych import json_reader
from diptych.backbones import hub
from diptych.backbones.light_timm import import_timm
from diptych.errors import DataError, UsageError
from diptych.opening import MAX_TEXT_BYTES, read_file, read_text

VARIABLE = "DIPTYCH_WEIGHTS"  # names the file or folder that network="auto" takes weights from
PREFIX = "timm:"
SUFFIX = ".safetensors"
CONFIG, FILE = "config.json", "model.safetensors"  # in a folder of the hub's layout


@dataclass(frozen=True)
class Weights:
    """A backbone's weights on this machine.

    Attributes
    ----------
    name
        timm's name of the backbone, possibly with the tag of its weights ("resnet18.a1_in1k").
    file
        Safetensors.
    config
        timm's ``config.json`` beside the file; empty where there is none.
    source
        Whose weights these are, in words for model cards; empty: the file's name says it.
    alias
        The name that selects built-in weights ("lite0"); empty for others.
    """

    name: str
    file: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    alias: str = ""

    @cached_property
    def sha256(self) -> str:
        """Of the file: features of different weights cannot be compared."""
        return hashlib.sha256(read_file(self.file)).hexdigest()

    @property
    def provenance(self) -> str:
        """Where the weights come from, in words, without a path of this machine."""
        return self.source or f"weights of {self.name} from the file {self.file.name}"

    @property
    def network(self) -> str:
        """The value of ``network=`` that selects these weights."""
        return self.alias or f"{PREFIX}{self.name}@{self.file}"


def architecture(name: str) -> str:
    """A backbone's name without the tag of its weights."""
    return name.split(".")[0]


def is_known(name: str) -> bool:
    """Whether timm has this backbone."""
    return bool(import_timm().is_model(architecture(name)))


def pretrained_cfg(name: str) -> Any:
    """The ``PretrainedCfg`` that timm has of a backbone; ``None`` for a backbone or a tag that timm does not have."""
    try:
        return import_timm().get_pretrained_cfg(name)
    except RuntimeError:  # a tag of the person's own
        return None


def locate_weights(name: str, path: Path) -> Weights:
    """The weights of the backbone ``name`` in a file or folder.

    Raises
    ------
    UsageError
        The path holds no weights of this backbone.
    """
    if path.is_dir():
        candidates = [w for w in weights_in_folder(path) if architecture(w.name) == architecture(name)]
        files = sorted(path.glob(f"*{SUFFIX}"))
        if len(candidates) > 1 and any(w.name == name for w in candidates):
            candidates = [w for w in candidates if w.name == name]
        if candidates:
            return candidates[0]
        if len(files) != 1:
            raise UsageError(
                f"{path} holds no weights of {name}: neither {CONFIG} and {FILE} in the hub's layout, nor "
                f"{name}{SUFFIX}. Name the file: {PREFIX}{name}@{path}/FILE{SUFFIX}"
            )
        path = files[0]
    if path.suffix != SUFFIX or not path.is_file():
        raise UsageError(
            f"{path} is not a safetensors file. Name one, as in {PREFIX}{name}@weights{SUFFIX}; a .pth or .bin "
            "file can run code when it is opened, so convert it first with safetensors.torch.save_file."
        )
    config = _read_config(path.parent)
    return Weights(name, path, config if config.get("architecture") == architecture(name) else {})


def weights_in_folder(path: Path) -> list[Weights]:
    """All weights in a file or folder, and in the folders of a folder, that name a backbone of timm."""
    if path.is_file():
        in_folder = [w for w in _weights_of_folder(path.parent) if w.file == path]
        return in_folder if path.suffix == SUFFIX else []
    if not path.is_dir():
        return []
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    return [weights for folder in (path, *folders) for weights in _weights_of_folder(folder)]


def cached_weights(name: str) -> Weights | None:
    """The weights that timm names for a backbone, if the hub's cache holds them."""
    from huggingface_hub import try_to_load_from_cache

    repository = _repository(name)
    path = try_to_load_from_cache(repository, FILE) if repository else None
    return locate_weights(name, Path(path)) if isinstance(path, str) else None


def fetch_weights(name: str) -> Weights:
    """The weights that timm names for a backbone: from the hub's cache, else from the hub.

    Raises
    ------
    UsageError
        timm names no weights for it, or the hub cannot be reached.
    """
    cached = cached_weights(name)
    if cached is not None:
        return cached
    repository = _repository(name)
    if repository is None:
        raise _unavailable(name, "timm names none for it")
    if not hub.is_reachable():
        raise _unavailable(name, "they are not in its cache and the hub cannot be reached")
    from huggingface_hub import hf_hub_download

    try:
        # timm names the repository, not a revision; what is read are JSON by a closed list and safetensors.
        hf_hub_download(repository, CONFIG)  # nosec B615
        file = hf_hub_download(repository, FILE)  # nosec B615
        return locate_weights(name, Path(file))
    except Exception as error:  # the hub's client raises what its HTTP library does
        raise _unavailable(name, (str(error).strip() or type(error).__name__).splitlines()[0]) from error


def _weights_of_folder(folder: Path) -> list[Weights]:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    config = _read_config(folder)
    if isinstance(config.get("architecture"), str) and files and is_known(config["architecture"]):
        tag = config.get("pretrained_cfg", {}).get("tag")
        name = config["architecture"] + (f".{tag}" if tag else "")
        return [Weights(name, folder / FILE if folder / FILE in files else files[0], config)]
    return [Weights(file.stem, file) for file in files if is_known(file.stem)]


class HubConfig(Struct):
    """timm's ``config.json``, as far as it is read here."""

    architecture: str | None = None
    pretrained_cfg: dict[str, Any] = {}
    model_args: dict[str, Any] = {}


def _read_config(folder: Path) -> dict[str, Any]:
    """A folder's ``config.json``; empty where it is missing or no JSON object."""
    try:
        config = json_reader.read(folder / CONFIG, dict[str, Any])
        json_reader.convert(config, HubConfig)
    except (OSError, DataError):
        return {}
    return config


def hub_cache_weights() -> list[Weights]:
    """All weights with a configuration in the hub's cache."""
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE)
    revisions = sorted(root.glob("models--*/refs/main"))
    folders = [r.parents[1] / "snapshots" / read_text(r, MAX_TEXT_BYTES).strip() for r in revisions]
    return [weights for folder in folders for weights in _weights_of_folder(folder) if weights.config]


def _repository(name: str) -> str | None:
    """The hub repository that timm names for a backbone's weights."""
    config = pretrained_cfg(name)
    return config.hf_hub_id if config else None


def _unavailable(name: str, reason: str) -> UsageError:
    return UsageError(
        f"The weights of {PREFIX}{name} are not available ({reason}). With a network timm downloads them from its hub; "
        f"without one, name a file or a folder: {PREFIX}{name}@/path/to/model{SUFFIX}"
    )
