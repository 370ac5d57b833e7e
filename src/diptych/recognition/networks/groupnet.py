"""A small convolutional network with group norm, for training with a privacy promise.

Noise is added to every weight, so that a network with few of them learns most; and batch norm, which would mix the
pictures of a batch, has no place in it. 3×3 convolutions of 16, 32, 32, … filters, each with group norm (Wu & He 2018),
ReLU and 2×2 max pooling until the map is under 8×8, one more convolution, a dense layer of 32, and a linear head.
At 8 px that are 22,000 weights.
"""

from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.recognition.networks.network import Network, TrainingRecipe

MAX_MAP = 7  # cells a side of the map that the last convolution reads
FIRST, WIDTH, DENSE = 16, 32, 32  # filters, and units of the dense layer
GROUPS = 4

RECIPE = TrainingRecipe(
    batch=256,
    optimizer="adamw",
    lr=2e-2,
    decay=0.0,
    pictures_shown=100_000,
    epochs=(10, 60),
    augment=lambda size: Augment(),
    label_smoothing=0.0,
)


class GroupNet(Network):
    """The network for pictures of ``size`` px (8 or more) and ``classes`` classes."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 3, size
        while side > MAX_MAP:
            width = WIDTH if layers else FIRST
            layers += [*_normalised(channels, width), nn.MaxPool2d(2)]
            channels, side = width, side // 2
        self.body = nn.Sequential(*layers, *_normalised(channels, WIDTH))
        self.dense = nn.Linear(WIDTH * side * side, DENSE)
        self.head = nn.Linear(DENSE, classes)

    def features(self, images: Tensor) -> Tensor:
        """The output of the dense layer after ReLU, (B, 32)."""
        return nn.functional.relu(self.dense(self.body(images).flatten(1)))


def _normalised(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(GROUPS, outputs), nn.ReLU()]
