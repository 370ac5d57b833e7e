"""Backbones from timm with pretrained weights: from a file, a folder, the hub's cache or the hub.

``timm:NAME@FILE`` and ``timm:NAME@FOLDER`` take the weights from there, with no network; ``timm:NAME`` takes those
that timm names, from the hub's cache or else from its hub. What the backbone was taught with (mean, deviation, size
and so on) becomes part of the network and of what is saved, so that it can never be forgotten.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diptych.backbones import weights as found
from diptych.backbones.weights import PREFIX, Weights
from diptych.data.transforms import Augment
from diptych.errors import UsageError
from diptych.recognition.networks.network import Network, TrainingRecipe

TAUGHT = ("mean", "std", "interpolation", "crop_pct")  # of timm's facts: how pictures looked when it was taught
FRESH = 0x5EED_1DEA  # that new weights are drawn with: what stays so has not been loaded
MEASURED = 256  # pictures that batch norms' statistics are taken from where there are none
RECIPE = TrainingRecipe(
    batch=32,
    optimizer="adamw",
    lr=2e-4,
    head_factor=2.0,
    layer_decay=0.75,  # what the first layers see serves any pictures: they move the least
    decay=0.05,
    shown=20_000,
    epochs=(3, 20),
    augment=lambda size: Augment(flip="random", crop=0.6),
    warmup=0.1,
)


class Pretrained(Network):
    """A timm backbone and a fresh linear head.

    Parameters
    ----------
    name
        timm's name of the backbone, with or without the tag of its weights ("resnet18.a1_in1k").
    weights
        Where its weights are; ``None`` leaves them to be loaded: a saved model brings its own.
    told
        :attr:`told` of the model that was saved; ``None`` takes what timm tells of the backbone.

    Attributes
    ----------
    told
        What else than the weights makes this backbone, as JSON can hold it: its name, its arguments, and how the
        pictures looked that it was taught with.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        classes: int,
        size: int,
        *,
        weights: Weights | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        config = weights.config if weights else {}
        taught = _taught(name, config)
        self.told = dict(told) if told else _told(name, config, taught, size)
        self.backbone = _made(self.told, taught)
        if weights is not None:
            self.backbone = _filled(self.backbone, weights.file, self.told, taught)
        self.register_buffer("mean", torch.tensor(self.told["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(self.told["std"]).view(1, 3, 1, 1))
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

    @torch.no_grad()
    def adapt(self, images: Tensor) -> None:
        """Measure batch norms' statistics where they never were, as in weights drawn at random.

        A probe sees features as in evaluation; fine-tuning, which normalises by batches, would see quite others.
        """
        fresh = [norm for norm in self.backbone.modules() if isinstance(norm, nn.BatchNorm2d) and _unmeasured(norm)]
        if not fresh:
            return
        usual = [norm.momentum for norm in fresh]
        self.eval()
        for norm in fresh:
            norm.momentum = None  # a plain mean over the batches
            norm.train()
        some = images[:MEASURED]
        for part in torch.tensor_split(some, -(-len(some) // RECIPE.batch)):  # evenly: one picture has no spread
            self.features(part)
        for norm, momentum in zip(fresh, usual, strict=True):
            norm.momentum = momentum
        self.train()

    def layers(self) -> list[list[nn.Parameter]]:
        """The trainable parameters from the first layer to the last: blocks of a transformer, stages of a CNN."""
        from timm.models import group_parameters

        named = dict(self.backbone.named_parameters())
        if not hasattr(self.backbone, "group_matcher"):
            return [[p for p in named.values() if p.requires_grad]]
        depths = group_parameters(self.backbone, self.backbone.group_matcher(coarse=True), reverse=True)
        layers: list[list[nn.Parameter]] = [[] for _ in range(max(depths.values()) + 1)]
        for name, depth in depths.items():
            if named[name].requires_grad:
                layers[depth].append(named[name])
        return [layer for layer in layers if layer]


def _unmeasured(norm: nn.BatchNorm2d) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and not mean.any() and bool((variance == 1).all())


def parse(network: str) -> tuple[str, Path | None]:
    """The backbone's name and the weights' file or folder (or ``None``) of a "timm:NAME[@PATH]"."""
    name, _, path = network.removeprefix(PREFIX).partition("@")
    return name, Path(path) if path else None


def check(network: str) -> None:
    """Raise UsageError, with the cure, unless timm knows the backbone, and its weights are in the path (if any)."""
    name, path = parse(network)
    if not found.is_known(name):
        import difflib

        import timm

        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        meant = f" Did you mean {', '.join(PREFIX + n for n in near)}?" if near else ""
        raise UsageError(f"timm has no backbone {name!r}.{meant} List them with: timm.list_models()")
    if path is not None:
        found.locate_weights(name, path)


def build(
    network: str, *, classes: int, size: int, download: bool = True, told: Mapping[str, Any] | None = None
) -> Pretrained:
    """The network that a "timm:NAME[@PATH]" names, with its weights unless ``download`` is false."""
    name, path = parse(network)
    if not download:
        return Pretrained(name, classes, size, told=told)
    weights = found.fetch_weights(name) if path is None else found.locate_weights(name, path)
    return Pretrained(name, classes, size, weights=weights)


def default_size(network: str) -> int:
    """The picture size, in px, that the backbone was taught at."""
    name, path = parse(network)
    weights = found.cached_weights(name) if path is None else found.locate_weights(name, path)
    return int(_taught(name, weights.config if weights else {})["input_size"][-1])


def _taught(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a backbone: what ``config.json`` tells, over what timm itself knows."""
    from timm.models import PretrainedCfg

    known = found.pretrained_cfg(name) or found.pretrained_cfg(found.architecture(name)) or PretrainedCfg()
    told = config.get("pretrained_cfg", {})
    names = {f.name for f in dataclasses.fields(PretrainedCfg)}
    facts: dict[str, Any] = known.to_dict(remove_source=True)
    return {**facts, **{k: v for k, v in told.items() if k in names}}


def _told(name: str, config: Mapping[str, Any], taught: Mapping[str, Any], size: int) -> dict[str, Any]:
    arguments = {k: v for k, v in config.get("model_args", {}).items() if k not in ("num_classes", "img_size")}
    # Transformers keep a table of positions, which has to be made for the picture size.
    if taught.get("fixed_input_size") or "img_size" in config.get("model_args", {}):
        arguments["img_size"] = size
    seen = {fact: taught[fact] for fact in TAUGHT}
    return {"name": name, "arguments": arguments, "size": int(taught["input_size"][-1]), **seen}


def _made(told: Mapping[str, Any], taught: Mapping[str, Any], file: Path | None = None) -> Any:
    """The backbone, without weights of use or with those that timm itself makes fit from ``file``."""
    import timm

    # Weights that fit exactly are loaded by us; timm's own loading knows how to convert others.
    source = {"file": str(file), "custom_load": False} if file else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FRESH)
        try:
            return timm.create_model(
                found.architecture(told["name"]),
                pretrained=file is not None,
                pretrained_cfg={**taught, **source},
                num_classes=0,
                **told["arguments"],
            )
        except Exception as error:  # timm raises whatever its architectures do
            if file is not None:
                raise _unfit(file, told["name"], _first_line(error)) from error
            side = told["arguments"].get("img_size")
            at = f" at {side} px" if side else ""
            raise UsageError(
                f"timm cannot make {told['name']!r}{at}: {_first_line(error)}. Try another size."
            ) from error


def _filled(blank: nn.Module, path: Path, told: Mapping[str, Any], taught: Mapping[str, Any]) -> Any:
    """The backbone with the weights of a file, which may hold a classifier's head besides."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} cannot be read as safetensors: {_first_line(error)}") from error
    wanted = blank.state_dict()
    if all(name in held and held[name].shape == tensor.shape for name, tensor in wanted.items()):
        blank.load_state_dict({name: held[name] for name in wanted})
        return blank
    return _converted(blank, path, told, taught)


def _converted(blank: nn.Module, path: Path, told: Mapping[str, Any], taught: Mapping[str, Any]) -> Any:
    """The backbone with weights that timm makes fit: tables of positions resized, other spellings of names."""
    backbone = _made(told, taught, path)
    fresh = dict(blank.named_parameters())
    left = [k for k, p in backbone.named_parameters() if p.ndim > 1 and torch.equal(p, fresh[k]) and p.std() > 0]
    if left:
        raise _unfit(path, told["name"], f"{len(left)} of {len(fresh)} are missing, the first {left[0]}")
    return backbone


def _unfit(path: Path, name: str, why: str) -> UsageError:
    return UsageError(f"{path} does not hold the weights of {name} ({why}). Name the file of this very backbone.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
