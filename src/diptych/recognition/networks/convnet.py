"""The classic small convolutional network of the tutorials, at any picture size.

Three 3×3 convolutions without padding (32, 64 and 64 filters), 2×2 max pooling after the first two, a dense
layer of 64 and a linear head, all with ReLU. At 32 px and ten classes this is the network of the Keras image
tutorial, with the same 122,570 parameters. Expect 75 % on CIFAR-10 (JPEG copies) after 10 epochs.

At other sizes the map that reaches the dense layer stays near the 4×4 that it has at 32 px: under 24 px the
convolutions are padded, since otherwise no map would be left; from 56 px, pooling and a further convolution of 64
are repeated until the map is under 10×10. So the dense layer never has more than 9·9·64 inputs, and each of these
covers a large part of a photograph.
"""

from torch import Tensor, nn

from diptych.data.transforms import Augment
from diptych.recognition.networks.network import PHOTOGRAPH, Network, TrainingRecipe

PADDED_BELOW = 24  # px
MAX_MAP = 9  # cells a side of the map that the dense layer reads
DENSE = 64  # units


def _gentle(size: int) -> Augment:
    """Weaker augmentation than that of larger networks: this one learns little more from epoch to epoch."""
    if size < PHOTOGRAPH:
        return Augment(flip="alternating", shift=1)
    return Augment(flip="random", crop=0.35)


RECIPE = TrainingRecipe(
    batch=256,
    optimizer="adamw",
    lr=3e-3,
    decay=0.05,
    pictures_shown=500_000,
    epochs=(10, 60),
    augment=_gentle,
    label_smoothing=0.05,
)


class ConvNet(Network):
    """The classic network for pictures of ``size`` px (8 or more) and ``classes`` classes."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        padding = 1 if size < PADDED_BELOW else 0
        shrink = 2 - 2 * padding  # what one convolution takes off the side of its map
        layers = [*_pooled(3, 32, padding), *_pooled(32, 64, padding)]
        side = ((size - shrink) // 2 - shrink) // 2 - shrink
        while side > MAX_MAP:
            layers += _pooled(64, 64, padding)
            side = side // 2 - shrink
        layers += [nn.Conv2d(64, 64, 3, padding=padding), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.dense = nn.Linear(64 * side * side, DENSE)
        self.head = nn.Linear(DENSE, classes)
        self.apply(_glorot)

    def features(self, images: Tensor) -> Tensor:
        """The output of the dense layer after ReLU, (B, 64)."""
        return nn.functional.relu(self.dense(self.body(images).flatten(1)))


def _pooled(inputs: int, outputs: int, padding: int) -> list[nn.Module]:
    # ReLU is monotone, so ReLU after pooling gives the same as before it, on a quarter of the values: a third more
    # pictures a second.
    return [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.MaxPool2d(2), nn.ReLU()]


def _glorot(module: nn.Module) -> None:
    """Initialise as the tutorial does: Glorot uniform weights, zero biases."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
