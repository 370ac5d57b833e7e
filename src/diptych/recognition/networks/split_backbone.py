"""The last stage of a backbone, which can be trained on the stored output of the stages before it."""

from dataclasses import dataclass

from torch import Tensor, nn

from diptych.recognition.networks.pretrained import Pretrained


@dataclass(frozen=True)
class SplitBackbone:
    """A backbone in two parts, which share its parameters: ``late(early(pictures))`` are its features.

    Attributes
    ----------
    network
        Whose backbone it is.
    early
        Normalised pictures (B, 3, S, S) -> maps (B, C, H, W).
    late
        Maps (B, C, H, W) -> features (B, D).
    """

    network: Pretrained
    early: nn.Sequential
    late: nn.Sequential

    def maps(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) of pictures (B, 3, S, S) in [-1, 1]."""
        maps: Tensor = self.early(self.network.normalised(pictures))
        return maps


def split_backbone(network: nn.Module) -> SplitBackbone | None:
    """Divide a convolutional backbone before its last stage; ``None`` for one of another kind."""
    if not isinstance(network, Pretrained):
        return None
    from timm.models.efficientnet import EfficientNet
    from timm.models.resnet import ResNet

    backbone = network.backbone
    if isinstance(backbone, EfficientNet):
        early = nn.Sequential(backbone.conv_stem, backbone.bn1, *backbone.blocks[:-1])
        late = nn.Sequential(backbone.blocks[-1], backbone.conv_head, backbone.bn2, backbone.global_pool)
    elif isinstance(backbone, ResNet):
        stem = (backbone.conv1, backbone.bn1, backbone.act1, backbone.maxpool)
        early = nn.Sequential(*stem, backbone.layer1, backbone.layer2, backbone.layer3)
        late = nn.Sequential(backbone.layer4, backbone.global_pool)
    else:
        return None
    return SplitBackbone(network, early, late)
