"""Where pretrained weights are: in a file or folder that a person names, or in the hub's cache on this machine.

A folder is laid out as the Hugging Face hub lays it out (``config.json`` of timm beside ``model.safetensors``), or
holds files named after their backbone (``resnet18.a1_in1k.safetensors``), or holds such folders. Nothing here uses
the network but :func:`fetch_weights`, which a person asks for by naming a backbone alone (``timm:NAME``).
"""

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diptych.errors import UsageError

VARIABLE = "DIPTYCH_WEIGHTS"  # names the file or folder that network="auto" takes weights from
PREFIX = "timm:"
SUFFIX = ".safetensors"
CONFIG, FILE = "config.json", "model.safetensors"  # of a folder as the hub lays it out
# Megabytes of weights up to which the largest backbone at hand is the best choice: beyond, it is too slow to train.
LARGEST = {"cpu": 120, "mps": 120, "cuda": 400}
PATIENCE_SECONDS = (
    5.0  # until a hub that does not answer counts as out of reach; its own client tries for half a minute
)


@dataclass(frozen=True)
class Weights:
    """A backbone's weights on this machine.

    Attributes
    ----------
    name
        timm's name of the backbone, perhaps with the tag of its weights ("resnet18.a1_in1k").
    file
        Safetensors.
    config
        What timm's ``config.json`` beside the file tells; empty where there is none.
    """

    name: str
    file: Path
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """As ``network=`` takes it."""
        return f"{PREFIX}{self.name}@{self.file}"


def architecture(name: str) -> str:
    """A backbone's name without the tag of its weights."""
    return name.split(".")[0]


def is_known(name: str) -> bool:
    """Whether timm has this backbone."""
    import timm

    return bool(timm.is_model(architecture(name)))


def pretrained_cfg(name: str) -> Any:
    """What timm itself tells of a backbone (its ``PretrainedCfg``); ``None`` of one, or of a tag, that it has not."""
    import timm

    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError:  # the tag is a person's own
        return None


def locate_weights(name: str, path: Path) -> Weights:
    """The weights of the backbone ``name`` in a file or folder.

    Raises
    ------
    UsageError
        They are not there.
    """
    if path.is_dir():
        alike = [w for w in weights_inside(path) if architecture(w.name) == architecture(name)]
        files = sorted(path.glob(f"*{SUFFIX}"))
        if len(alike) > 1 and any(w.name == name for w in alike):
            alike = [w for w in alike if w.name == name]
        if alike:
            return alike[0]
        if len(files) != 1:
            raise UsageError(
                f"{path} holds no weights of {name}: neither {CONFIG} and {FILE} as the hub lays them out, nor "
                f"{name}{SUFFIX}. Name the file: {PREFIX}{name}@{path}/FILE{SUFFIX}"
            )
        path = files[0]
    if path.suffix != SUFFIX or not path.is_file():
        raise UsageError(
            f"{path} is not a safetensors file. Name one, as in {PREFIX}{name}@weights{SUFFIX}; a .pth or .bin "
            "file can run code when it is opened, so convert it first with safetensors.torch.save_file."
        )
    told = _config(path.parent)
    return Weights(name, path, told if told.get("architecture") == architecture(name) else {})


def weights_inside(path: Path) -> list[Weights]:
    """All weights in a file or folder, and in the folders of a folder, that tell which backbone of timm they are."""
    if path.is_file():
        of_folder = [w for w in _of_folder(path.parent) if w.file == path]
        return of_folder if path.suffix == SUFFIX else []
    if not path.is_dir():
        return []
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    return [found for folder in (path, *folders) for found in _of_folder(folder)]


def local_weights() -> list[Weights]:
    """What may be used without the network: what ``DIPTYCH_WEIGHTS`` names, else what the hub's cache holds.

    Raises
    ------
    UsageError
        ``DIPTYCH_WEIGHTS`` names nothing that can be used.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return _cached()
    found = weights_inside(Path(named))
    if not found:
        raise UsageError(
            f"{VARIABLE} names {named}, which holds no weights of a backbone that timm knows. It should be a folder "
            f"with {CONFIG} and {FILE}, or files named after their backbone, such as resnet18.a1_in1k{SUFFIX}."
        )
    return found


def best_weights(found: list[Weights], device: str) -> Weights:
    """The largest that this kind of device ("cpu", "cuda", "mps") can train in minutes; else the smallest."""
    by_size = sorted(found, key=lambda w: w.file.stat().st_size)
    fitting = [w for w in by_size if w.file.stat().st_size <= 1e6 * LARGEST[device]]
    return fitting[-1] if fitting else by_size[0]


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
        timm names none, or the hub cannot be reached.
    """
    found = cached_weights(name)
    if found is not None:
        return found
    repository = _repository(name)
    if repository is None:
        raise _absent(name, "timm names none for it")
    if not _reachable():
        raise _absent(name, "they are not in its cache and the hub cannot be reached")
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(repository, CONFIG)
        return locate_weights(name, Path(hf_hub_download(repository, FILE)))
    except Exception as error:  # the hub's client raises what its HTTP library does
        raise _absent(name, (str(error).strip() or type(error).__name__).splitlines()[0]) from error


def _of_folder(folder: Path) -> list[Weights]:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    told = _config(folder)
    if isinstance(told.get("architecture"), str) and files and is_known(told["architecture"]):
        tag = told.get("pretrained_cfg", {}).get("tag")
        name = told["architecture"] + (f".{tag}" if tag else "")
        return [Weights(name, folder / FILE if folder / FILE in files else files[0], told)]
    return [Weights(file.stem, file) for file in files if is_known(file.stem)]


def _config(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _cached() -> list[Weights]:
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE)
    revisions = sorted(root.glob("models--*/refs/main"))
    folders = [r.parents[1] / "snapshots" / r.read_text(encoding="utf-8").strip() for r in revisions]
    return [found for folder in folders for found in _of_folder(folder) if found.config]


def _repository(name: str) -> str | None:
    told = pretrained_cfg(name)
    return told.hf_hub_id if told else None


def _reachable() -> bool:
    """Whether the hub answers at all, and soon; looking its name up may hang, too, so a thread does it."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS):
                answered.set()
        except urllib.error.HTTPError:
            answered.set()  # an answer, if not a friendly one
        except OSError:
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    return answered.is_set()


def _absent(name: str, why: str) -> UsageError:
    return UsageError(
        f"The weights of {PREFIX}{name} could not be had ({why}). With a network timm fetches them from its hub; "
        f"without one, name a file or a folder: {PREFIX}{name}@/path/to/model{SUFFIX}"
    )
