"""The networks by name: one file per family, each with the training recipe that suits it best."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from diptych.backbones import timm_backbone
from diptych.backbones.builtin import BUILTIN
from diptych.backbones.weights import PREFIX, is_known
from diptych.errors import UsageError
from diptych.recognition.networks import alexnet, convnet, groupnet, pretrained, speednet
from diptych.recognition.networks.custom import CustomNetwork
from diptych.recognition.networks.network import Network, TrainingRecipe, augmentation
from diptych.recognition.settings import MIN_SIZE

__all__ = [
    "CUSTOM_PREFIX",
    "FAMILIES",
    "MIN_SIZE",
    "Network",
    "TrainingRecipe",
    "build",
    "check",
    "check_name",
    "name_of",
    "recipe_of",
    "require_weights",
]

FAMILIES: dict[str, tuple[Callable[[int, int], Network], TrainingRecipe]] = {
    "convnet": (convnet.ConvNet, convnet.RECIPE),
    "alexnet": (alexnet.AlexNet, alexnet.RECIPE),
    "groupnet": (groupnet.GroupNet, groupnet.RECIPE),
    **speednet.VARIANTS,
}
CUSTOM_PREFIX = "custom:"  # of the stored name of a person's own class
CUSTOM_RECIPE = TrainingRecipe(
    batch=128,
    optimizer="adamw",
    lr=1e-3,
    decay=0.05,
    pictures_shown=500_000,
    epochs=(10, 60),
    augment=augmentation,
)


def build(
    network: str | type[nn.Module],
    *,
    classes: int,
    size: int,
    download: bool = True,
    backbone_facts: Mapping[str, Any] | None = None,
) -> Network:
    """Build a network with fresh weights; a backbone comes with its pretrained weights.

    Parameters
    ----------
    network
        A name of ``FAMILIES``, "lite0", "lite1", "lite2", "timm:NAME", "timm:NAME@PATH", or a person's own class of
        ``nn.Module``.
    size
        Side of the square pictures, in px; at least 8.
    download
        ``False`` builds a backbone without its weights, for a saved model that has its own.
    backbone_facts
        :attr:`Network.backbone_facts` of the saved model; ``None``: those that timm knows.

    Raises
    ------
    UsageError
        There is no such network, or it cannot be built at this size.
    """
    if download:
        check(network)
    if size < MIN_SIZE:
        raise UsageError(f"A picture size of {size} px is too small. Use {MIN_SIZE} px or more (--size).")
    if isinstance(network, str):
        if timm_backbone.is_pretrained(network):
            return pretrained.build(
                network, classes=classes, size=size, download=download, backbone_facts=backbone_facts
            )
        return FAMILIES[network][0](classes, size)
    return CustomNetwork(network, classes, size)


def check_name(network: str | type[nn.Module]) -> None:
    """Raise UsageError, with the closest existing name, unless ``network`` is a name or class of a network.

    Whether timm has the backbone and its weights are to be had is not looked up.
    """
    if isinstance(network, type) and issubclass(network, nn.Module):
        return
    if not isinstance(network, str):
        raise UsageError(f"A network is a name or a class of torch.nn.Module, not {network!r}.")
    if network in FAMILIES or timm_backbone.is_pretrained(network) or network.startswith(CUSTOM_PREFIX):
        return
    names = [*FAMILIES, *BUILTIN]
    close = [PREFIX + network] if is_known(network) else difflib.get_close_matches(network, names, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    choices = ", ".join(names)
    raise UsageError(f"There is no network {network!r}.{suggestion} Choose from: auto, {choices}, timm:NAME.")


def check(network: str | type[nn.Module]) -> None:
    """Raise UsageError unless ``network`` can be built."""
    check_name(network)
    if not isinstance(network, str):
        return
    if timm_backbone.is_pretrained(network):
        timm_backbone.check(network)
    elif network.startswith(CUSTOM_PREFIX):
        raise UsageError(f"Give the class {network.removeprefix(CUSTOM_PREFIX)} itself as the network, not its name.")


def require_weights(network: str | type[nn.Module]) -> None:
    """Find or fetch the weights of a pretrained network; raises UsageError at once if they are not to be had."""
    if isinstance(network, str) and timm_backbone.is_pretrained(network):
        timm_backbone.find_weights(network)


def recipe_of(network: str | type[nn.Module]) -> TrainingRecipe:
    """The training recipe of a network's family."""
    if isinstance(network, str):
        return FAMILIES[network][1] if network in FAMILIES else pretrained.RECIPE
    return CUSTOM_RECIPE


def name_of(network: str | type[nn.Module]) -> str:
    """The name in model files and reports: without a path; a person's own class as "custom:NAME"."""
    return network.partition("@")[0] if isinstance(network, str) else CUSTOM_PREFIX + network.__qualname__
