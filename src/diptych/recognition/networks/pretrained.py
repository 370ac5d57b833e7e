"""A backbone of timm with pretrained weights (see :mod:`diptych.backbones.timm_backbone`), and a head of its own."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.backbones import timm_backbone
from diptych.backbones.weights import Weights
from diptych.data.transforms import Augment
from diptych.recognition.networks.network import Network, TrainingRecipe

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
        self.backbone, facts = timm_backbone.build(name, size, weights, backbone_facts)
        self._backbone_facts = facts
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


def build(
    network: str, *, classes: int, size: int, download: bool = True, backbone_facts: Mapping[str, Any] | None = None
) -> Pretrained:
    """Build a pretrained network by its name, with its pretrained weights unless ``download`` is false."""
    if not download:
        return Pretrained(timm_backbone.timm_name(network), classes, size, backbone_facts=backbone_facts)
    weights = timm_backbone.find_weights(network)
    return Pretrained(timm_backbone.timm_name(network), classes, size, weights=weights)
