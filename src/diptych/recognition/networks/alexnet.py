"""AlexNet (Krizhevsky et al. 2012), scaled to the picture size, from 8 px up.

Five convolutions of 96, 256, 384, 384 and 256 filters with overlapping 3×3 max pooling after the first, second
and fifth, then two dense layers with dropout and a linear head. These depend on the picture size:

========  ============  ======  =============  ===========
size      first filter  stride  last map       dense width
========  ============  ======  =============  ===========
under 64  5×5           1       4×4 at 32 px   32 · size
64..127   7×7           2       3×3 at 64 px   32 · size
from 128  11×11         4       6×6 at 224 px  4096
========  ============  ======  =============  ===========

It differs from 2012 in two ways: the filters are not split in two halves (that was for two GPUs of 3 GB), and batch
normalisation replaces local response normalisation, since without it the network needs days of careful learning
rates instead of minutes.
"""

from torch import Tensor, nn

from diptych.recognition.networks.network import Network, TrainingRecipe, augmentation

MAX_MAP = 6  # cells a side of the map that the dense layers read
MAX_DENSE = 4096  # units of a dense layer
RECIPE = TrainingRecipe(
    batch=128,
    optimizer="adamw",
    lr=5e-4,
    decay=0.05,
    pictures_shown=500_000,
    epochs=(10, 60),
    augment=augmentation,
)


class AlexNet(Network):
    """AlexNet for pictures of ``size`` px (8 or more) and ``classes`` classes."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        kernel, stride = (5, 1) if size < 64 else (7, 2) if size < 128 else (11, 4)
        # Small maps are padded before pooling, which would leave nothing of them otherwise.
        pool = nn.MaxPool2d(3, stride=2, padding=1 if size < 64 else 0)
        self.body = nn.Sequential(
            *_convolution(3, 96, kernel, stride),
            pool,
            *_convolution(96, 256, 5),
            pool,
            *_convolution(256, 384, 3),
            *_convolution(384, 384, 3),
            *_convolution(384, 256, 3),
            pool,
        )
        side = _side(size, kernel, stride)
        self.shrink = nn.AdaptiveAvgPool2d(min(side, MAX_MAP)) if side > MAX_MAP else nn.Identity()
        width = min(MAX_DENSE, 32 * size)
        self.dense = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(256 * min(side, MAX_MAP) ** 2, width),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.head = nn.Linear(width, classes)

    def features(self, images: Tensor) -> Tensor:
        """The output of the second dense layer, (B, 32 · size or 4096)."""
        features: Tensor = self.dense(self.shrink(self.body(images)).flatten(1))
        return features


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    # The first layer of 2012 is padded by 2; all others keep the size of the map.
    padding = 2 if stride == 4 else kernel // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def _side(size: int, kernel: int, stride: int) -> int:
    """The side of the map after the last pooling, in cells."""
    padding = 2 if stride == 4 else kernel // 2
    side = (size + 2 * padding - kernel) // stride + 1
    pooled = 1 if size < 64 else 0
    for _ in range(3):
        side = (side + 2 * pooled - 3) // 2 + 1
    return side
