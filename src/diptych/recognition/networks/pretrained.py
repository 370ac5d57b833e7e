"""Backbones from timm with pretrained weights, from the hub or from a local file.

``timm:NAME`` takes the weights that timm names, from its hub (network) or its cache; ``timm:NAME@FILE`` takes
them from a safetensors file, with no network. The backbone's own preprocessing becomes part of the network, so
that it is saved with the weights and can never be forgotten.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.errors import UsageError
from diptych.recognition.networks.network import Network, Training

PREFIX = "timm:"
TRAINING = Training(
    batch=32,
    optimizer="adamw",
    lr=1e-4,
    head_factor=10.0,  # it begins at nothing, the backbone near its goal
    decay=0.05,
    shown=20_000,
    epochs=(3, 20),
    augment=lambda size: Augment(flip="random", crop=0.5),
)


class Pretrained(Network):
    """A timm backbone and a fresh linear head.

    Parameters
    ----------
    name
        timm's name of the backbone, with or without the tag of its weights ("resnet18.a1_in1k").
    weights
        A safetensors file; ``None`` means timm's own weights; with ``download=False`` none are looked for (a
        saved model brings its own).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, classes: int, size: int, *, weights: Path | None = None, download: bool = True
    ) -> None:
        super().__init__()
        self.backbone = _backbone(name, size, download=download and weights is None)
        if weights is not None:
            _read(self.backbone, weights)
        told = self.backbone.pretrained_cfg
        self.register_buffer("mean", torch.tensor(told["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(told["std"]).view(1, 3, 1, 1))
        with torch.no_grad():
            width = self.eval().features(torch.zeros(1, 3, size, size)).shape[1]
        self.train()
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)  # a fresh head must not shake the backbone with random gradients
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """The backbone's pooled answer, (B, its width), to pictures normalised as it was taught."""
        seen: Tensor = self.backbone(((images + 1) / 2 - self.mean) / self.std)
        return seen


def parse(network: str) -> tuple[str, Path | None]:
    """The backbone's name and the weights' file (or ``None``) of a "timm:NAME[@FILE]"."""
    name, _, file = network.removeprefix(PREFIX).partition("@")
    return name, Path(file) if file else None


def check(network: str) -> None:
    """Raise UsageError, with the cure, unless timm knows the backbone and the file (if any) is there."""
    import timm

    name, file = parse(network)
    if not timm.is_model(name.split(".")[0]):
        import difflib

        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        meant = f" Did you mean {', '.join(PREFIX + n for n in near)}?" if near else ""
        raise UsageError(f"timm has no backbone {name!r}.{meant} List them with: timm.list_models()")
    if file is not None and (file.suffix != ".safetensors" or not file.is_file()):
        raise UsageError(
            f"{file} is not a safetensors file. Name one, as in timm:{name}@weights.safetensors; a .pth or .bin "
            "file can run code when it is opened, so convert it first with safetensors.torch.save_file."
        )


def default_size(network: str) -> int:
    """The picture size, in px, that the backbone was taught at."""
    import timm

    told = timm.get_pretrained_cfg(parse(network)[0])
    return int(told.input_size[-1]) if told else 224


def _backbone(name: str, size: int, *, download: bool) -> Any:
    import timm

    told = timm.get_pretrained_cfg(name)
    # Transformers keep a table of positions, which has to be made for the picture size.
    sized = {"img_size": size} if told and told.fixed_input_size else {}
    try:
        return timm.create_model(name, pretrained=download, num_classes=0, **sized)
    except Exception as error:  # the hub's client raises what its HTTP library does
        if not download:
            raise UsageError(f"timm cannot make {name!r} at {size} px: {error}. Try another size.") from error
        raise UsageError(
            f"The weights of {PREFIX}{name} could not be had ({_first_line(error)}). With a network timm fetches "
            f"them from its hub; without one, name a file: {PREFIX}{name}@/path/to/model.safetensors"
        ) from error


def _read(backbone: nn.Module, path: Path) -> None:
    """Load a backbone's weights; the file may hold a classifier's head besides, which is left out."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} cannot be read as safetensors: {_first_line(error)}") from error
    wanted = backbone.state_dict()
    missing = [k for k in wanted if k not in held]
    shaped = [k for k in wanted if k in held and held[k].shape != wanted[k].shape]
    if missing or shaped:
        raise UsageError(
            f"{path} does not hold the weights of this backbone: {len(missing)} of {len(wanted)} are missing and "
            f"{len(shaped)} have another shape (the first: {(missing + shaped)[0]}). Name the file of this very "
            "backbone and picture size."
        )
    backbone.load_state_dict({k: held[k] for k in wanted})


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
