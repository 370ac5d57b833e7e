"""Backbones from timm with pretrained weights: built in, from a file, a folder, the hub's cache or the hub.

``lite0`` (and with an extra ``lite1`` and ``lite2``) has built-in weights; ``timm:NAME@FILE`` and ``timm:NAME@FOLDER``
read them from a path; all of these work offline. ``timm:NAME`` takes those that timm names, from the hub's cache or
else from the hub. How the pictures of the pretraining were prepared (mean, standard
deviation, size and so on) is part of the network and of the saved model.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.backbones import weights as backbone_weights
from diptych.backbones.builtin import BUILTIN, builtin_weights, check_installed
from diptych.backbones.weights import PREFIX, Weights
from diptych.data.transforms import Augment
from diptych.errors import UsageError
from diptych.recognition.networks.network import Network, TrainingRecipe

PREPROCESSING = ("mean", "std", "interpolation", "crop_pct")  # fields of timm's PretrainedCfg
INITIAL_SEED = 0x5EED_1DEA  # of new weights: a tensor that still equals them has not been loaded
STATISTICS_PICTURES = 256  # from which batch norms' statistics are measured where they are missing
RECIPE = TrainingRecipe(
    batch=32,
    optimizer="adamw",
    lr=2e-4,
    head_factor=2.0,
    layer_decay=0.75,  # the features of the first layers suit any pictures: they change the least
    decay=0.05,
    pictures_shown=20_000,
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
        Where its weights are; ``None`` leaves them to be loaded, as from a saved model.
    backbone_facts
        :attr:`backbone_facts` of a saved model; ``None``: those that timm knows.
    """

    pretrained = True
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        classes: int,
        size: int,
        *,
        weights: Weights | None = None,
        backbone_facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        config = weights.config if weights else {}
        timm_cfg = _timm_cfg(name, config)
        facts = dict(backbone_facts) if backbone_facts else _backbone_facts(name, weights, timm_cfg, size)
        self._backbone_facts = facts
        self.backbone = _build_backbone(facts, timm_cfg)
        if weights is not None:
            self.backbone = _load_weights(self.backbone, weights.file, facts, timm_cfg)
        self.register_buffer("mean", torch.tensor(facts["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(facts["std"]).view(1, 3, 1, 1))
        with torch.no_grad():
            width = self.eval().features(torch.zeros(1, 3, size, size)).shape[1]
        self.train()
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)  # random weights would send random gradients into the backbone
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> Self:
        """Training mode, in which batch norms keep the statistics of the pretraining: a person's pictures are few."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    @property
    def backbone_facts(self) -> dict[str, Any]:
        """What rebuilds the backbone besides its weights: its name and arguments, and how pictures are prepared."""
        return self._backbone_facts

    def features(self, images: Tensor) -> Tensor:
        """The pooled output of the backbone, (B, its width), for pictures normalised as in its pretraining."""
        features: Tensor = self.backbone(self.normalised(images))
        return features

    def normalised(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1], normalised as in its pretraining."""
        return ((images + 1) / 2 - self.mean) / self.std

    def head_input(self, features: Tensor) -> Tensor:
        """The features scaled to a root mean square of 1: how long they are says little about the class."""
        scaled: Tensor = F.normalize(features, dim=1) * features.shape[1] ** 0.5
        return scaled

    @torch.no_grad()
    def adapt(self, images: Tensor) -> None:
        """Measure the statistics of batch norms that have none, as with randomly drawn weights.

        A linear probe uses features as in evaluation; without this, those of fine-tuning, which normalises by batch,
        would be quite different.
        """
        unmeasured = [
            norm for norm in self.backbone.modules() if isinstance(norm, nn.BatchNorm2d) and _unmeasured(norm)
        ]
        if not unmeasured:
            return
        momenta = [norm.momentum for norm in unmeasured]
        self.eval()
        for norm in unmeasured:
            norm.momentum = None  # a plain mean over the batches
            norm.train()
        sample = images[:STATISTICS_PICTURES]
        for batch in torch.tensor_split(sample, -(-len(sample) // RECIPE.batch)):  # even: one picture has no variance
            self.features(batch)
        for norm, momentum in zip(unmeasured, momenta, strict=True):
            norm.momentum = momentum
        self.train()

    def layers(self) -> list[list[nn.Parameter]]:
        """The trainable parameters, first layer to last: by block of a transformer, by stage of a CNN."""
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


def is_pretrained(network: str) -> bool:
    """Whether a network's name is that of a pretrained backbone: "lite0", "lite1", "lite2" or "timm:…"."""
    return network in BUILTIN or network.startswith(PREFIX)


def parse(network: str) -> tuple[str, Path | None]:
    """Timm's name of a backbone, and the file or folder of its weights (``None``: built in, or from the hub)."""
    if network in BUILTIN:
        return BUILTIN[network].architecture, None
    name, _, path = network.removeprefix(PREFIX).partition("@")
    return name, Path(path) if path else None


def check(network: str) -> None:
    """Raise UsageError unless timm has the backbone, and the path (if any) holds its weights."""
    if network in BUILTIN:
        check_installed(network)
        return
    name, path = parse(network)
    if not backbone_weights.is_known(name):
        import difflib

        import timm

        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        suggestion = f" Did you mean {', '.join(PREFIX + n for n in close)}?" if close else ""
        raise UsageError(f"timm has no backbone {name!r}.{suggestion} List them with: timm.list_models()")
    if path is not None:
        backbone_weights.locate_weights(name, path)


def build(
    network: str, *, classes: int, size: int, download: bool = True, backbone_facts: Mapping[str, Any] | None = None
) -> Pretrained:
    """Build a pretrained network by its name, with its pretrained weights unless ``download`` is false."""
    name, _ = parse(network)
    if not download:
        return Pretrained(name, classes, size, backbone_facts=backbone_facts)
    return Pretrained(name, classes, size, weights=find_weights(network))


def find_weights(network: str) -> Weights:
    """The weights of a pretrained network: built in, from its path, from the hub's cache, or fetched from the hub.

    Raises
    ------
    UsageError
        They are not to be had; says why and what to do.
    """
    name, path = parse(network)
    if network in BUILTIN:
        return builtin_weights(network)
    return backbone_weights.fetch_weights(name) if path is None else backbone_weights.locate_weights(name, path)


def default_size(network: str) -> int:
    """The picture size, in px, that the backbone was pretrained at."""
    name, path = parse(network)
    weights = backbone_weights.cached_weights(name) if path is None else backbone_weights.locate_weights(name, path)
    return int(_timm_cfg(name, weights.config if weights else {})["input_size"][-1])


def _timm_cfg(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The ``PretrainedCfg`` of a backbone, where ``config.json`` takes precedence over timm's own."""
    from timm.models import PretrainedCfg

    architecture = backbone_weights.architecture(name)
    builtin = backbone_weights.pretrained_cfg(name) or backbone_weights.pretrained_cfg(architecture) or PretrainedCfg()
    fields = {f.name for f in dataclasses.fields(PretrainedCfg)}
    values: dict[str, Any] = builtin.to_dict(remove_source=True)
    return {**values, **{k: v for k, v in config.get("pretrained_cfg", {}).items() if k in fields}}


def _backbone_facts(name: str, weights: Weights | None, timm_cfg: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Name, arguments, pretraining size, preprocessing and origin of a backbone, as JSON can hold them."""
    config = weights.config if weights else {}
    arguments = {k: v for k, v in config.get("model_args", {}).items() if k not in ("num_classes", "img_size")}
    # Transformers have a table of positions, which is built for the picture size.
    if timm_cfg.get("fixed_input_size") or "img_size" in config.get("model_args", {}):
        arguments["img_size"] = size
    preprocessing = {field: timm_cfg[field] for field in PREPROCESSING}
    return {
        "name": name,
        "source": weights.provenance if weights else "",
        "arguments": arguments,
        "size": int(timm_cfg["input_size"][-1]),
        **preprocessing,
    }


def _build_backbone(facts: Mapping[str, Any], timm_cfg: Mapping[str, Any], file: Path | None = None) -> Any:
    """The backbone with initial weights, or with those that timm loads, and converts if need be, from ``file``."""
    import timm

    # Weights that fit exactly are loaded by `_load_weights`; timm's own loading converts others.
    source = {"file": str(file), "custom_load": False} if file else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        try:
            return timm.create_model(
                backbone_weights.architecture(facts["name"]),
                pretrained=file is not None,
                pretrained_cfg={**timm_cfg, **source},
                num_classes=0,
                **facts["arguments"],
            )
        except Exception as error:  # timm raises whatever its architectures raise
            if file is not None:
                raise _wrong_weights(file, facts["name"], _first_line(error)) from error
            size = facts["arguments"].get("img_size")
            at = f" at {size} px" if size else ""
            raise UsageError(
                f"timm cannot make {facts['name']!r}{at}: {_first_line(error)}. Try another size."
            ) from error


def _load_weights(backbone: nn.Module, path: Path, facts: Mapping[str, Any], timm_cfg: Mapping[str, Any]) -> Any:
    """The backbone with the weights of a file, which may also hold a classifier's head."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} cannot be read as safetensors: {_first_line(error)}") from error
    required = backbone.state_dict()
    if all(name in tensors and tensors[name].shape == tensor.shape for name, tensor in required.items()):
        backbone.load_state_dict({name: tensors[name] for name in required})
        return backbone
    return _load_converted(backbone, path, facts, timm_cfg)


def _load_converted(initial: nn.Module, path: Path, facts: Mapping[str, Any], timm_cfg: Mapping[str, Any]) -> Any:
    """The backbone with weights that timm converts: tables of positions resized, parameters renamed."""
    loaded = _build_backbone(facts, timm_cfg, path)
    before = dict(initial.named_parameters())
    missing = [k for k, p in loaded.named_parameters() if p.ndim > 1 and torch.equal(p, before[k]) and p.std() > 0]
    if missing:
        reason = f"{len(missing)} of {len(before)} are missing, the first {missing[0]}"
        raise _wrong_weights(path, facts["name"], reason)
    return loaded


def _wrong_weights(path: Path, name: str, reason: str) -> UsageError:
    return UsageError(f"{path} does not hold the weights of {name} ({reason}). Name the file of this backbone.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
