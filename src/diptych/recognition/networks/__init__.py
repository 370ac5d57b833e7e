"""The networks, by name: one family, one file, each beside the recipe that trains it best."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from diptych.backbones import weights
from diptych.errors import UsageError
from diptych.recognition.networks import alexnet, convnet, pretrained, speednet
from diptych.recognition.networks.custom import CustomNetwork
from diptych.recognition.networks.network import Network, TrainingRecipe, augmentation

__all__ = [
    "CUSTOM_PREFIX",
    "FAMILIES",
    "SMALLEST",
    "Network",
    "TrainingRecipe",
    "build",
    "check",
    "name_of",
    "training",
]

FAMILIES: dict[str, tuple[Callable[[int, int], Network], TrainingRecipe]] = {
    "convnet": (convnet.ConvNet, convnet.RECIPE),
    "alexnet": (alexnet.AlexNet, alexnet.RECIPE),
    **speednet.VARIANTS,
}
CUSTOM_PREFIX = "own:"
SMALLEST = 8  # px: under this no network has anything left to look at
CUSTOM_RECIPE = TrainingRecipe(
    batch=128,
    optimizer="adamw",
    lr=1e-3,
    decay=0.05,
    shown=500_000,
    epochs=(10, 60),
    augment=augmentation,
)


def build(
    network: str | type[nn.Module],
    *,
    classes: int,
    size: int,
    download: bool = True,
    told: Mapping[str, Any] | None = None,
) -> Network:
    """Make a network with fresh weights (a backbone of timm: with its pretrained ones).

    Parameters
    ----------
    network
        A name of ``FAMILIES``, "timm:NAME", "timm:NAME@PATH", or a person's own ``nn.Module`` class.
    size
        The side of the square pictures, in px.
    download
        ``False`` makes a timm backbone without its weights: a saved model brings its own,
    told
        and what it tells of its backbone (:attr:`Pretrained.told`).

    Raises
    ------
    UsageError
        There is no such network, or it cannot be made at this size.
    """
    if download:
        check(network)
    if size < SMALLEST:
        raise UsageError(f"A picture size of {size} px is too small. Use {SMALLEST} px or more (--size).")
    if isinstance(network, str):
        if network.startswith(weights.PREFIX):
            return pretrained.build(network, classes=classes, size=size, download=download, told=told)
        return FAMILIES[network][0](classes, size)
    return CustomNetwork(network, classes, size)


def check(network: str | type[nn.Module]) -> None:
    """Raise UsageError, naming the nearest that exist, unless ``network`` can be built."""
    if isinstance(network, type) and issubclass(network, nn.Module):
        return
    if not isinstance(network, str):
        raise UsageError(f"A network is a name or a class of torch.nn.Module, not {network!r}.")
    if network.startswith(weights.PREFIX):
        pretrained.check(network)
    elif network not in FAMILIES:
        near = difflib.get_close_matches(network, FAMILIES, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        names = ", ".join(FAMILIES)
        raise UsageError(f"There is no network {network!r}.{meant} Choose from: auto, {names}, timm:NAME.")


def recipe_of(network: str | type[nn.Module]) -> TrainingRecipe:
    """The recipe of a network's family."""
    if isinstance(network, str):
        return FAMILIES[network][1] if network in FAMILIES else pretrained.RECIPE
    return CUSTOM_RECIPE


def name_of(network: str | type[nn.Module]) -> str:
    """The network as artefacts and reports name it, without a path; a person's own class as "own:NAME"."""
    return network.partition("@")[0] if isinstance(network, str) else CUSTOM_PREFIX + network.__qualname__
