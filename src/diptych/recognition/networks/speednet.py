"""SpeedNet: a small residual-free network that learns fast, after the CIFAR-10 speed records.

A frozen whitening convolution, three groups of two 3×3 convolutions, global max pooling and a linear head; the
filters start as the identity and are trained by Muon. After Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a
single GPU" (arXiv:2404.00498) and the Muon version that followed. Expect 90 % on CIFAR-10 (JPEG copies) after
8 epochs.

At larger pictures the whitening patch and its stride grow together, so that the first map stays near 32 to 48
px and the cost near constant; from a map of 8 px at the end on, further groups are added.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.recognition.networks.network import Network, Training, augmentation

WIDTHS = (64, 256, 256)
MAP = 48  # px: the largest first map, beyond which the stride grows
WIDEST_END = 7
MOST_FILTERS = 32  # eigenvectors kept of a large patch; its mirror images double them
BIAS_TRAINS = 0.35  # of the run, while the whitening's bias is trained
WHITENED = 5000  # pictures whose patches set the whitening
TRAINING = Training(
    batch=512,  # of those that train alike, the one that takes a third of the memory of 1536
    optimizer="muon",
    lr=0.24,
    head_factor=0.8,
    bias_factor=0.08,
    decay=4e-3,
    shown=400_000,
    epochs=(8, 24),
    augment=augmentation,
)


class SpeedNet(Network):
    """The whitened network, for ``size`` px (8 or more) and ``classes`` classes."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.whiten = Whitening(stride=-(-size // MAP))
        side = (size - self.whiten.kernel_size[0]) // self.whiten.stride[0] + 1
        widths = list(WIDTHS)
        while side >> len(widths) > WIDEST_END:
            widths.append(WIDTHS[-1])
        inputs = [self.whiten.out_channels, *widths[:-1]]
        groups: list[nn.Module] = []
        for before, after in zip(inputs, widths, strict=True):
            groups.append(Group(before, after, pool=side > 1))
            side = max(1, side // 2)
        self.groups = nn.Sequential(*groups)
        self.head = Head(widths[-1], classes)
        self.gain = 1 / widths[-1]

    def features(self, images: Tensor) -> Tensor:
        """The largest answer of each filter anywhere in the picture, (B, 256)."""
        seen: Tensor = self.groups(F.gelu(self.whiten(images)))
        return seen.amax((2, 3))

    def adapt(self, images: Tensor) -> None:
        """Set the whitening from training pictures."""
        self.whiten.adapt(images)

    def before_step(self, progress: float) -> None:
        """Train the whitening's bias early in the run only: later it costs time and moves nothing."""
        self.whiten.bias.requires_grad_(progress < BIAS_TRAINS)  # type: ignore[union-attr]


class Whitening(nn.Conv2d):
    """A frozen convolution whose answers are uncorrelated and of one variance, and their negatives.

    Its patches are 2·stride px wide: 2×2 at stride 1, whose twelve eigenvectors are all kept.
    """

    def __init__(self, stride: int) -> None:
        patch = 2 * stride
        self.kept = min(3 * patch * patch, MOST_FILTERS)
        super().__init__(3, 2 * self.kept, patch, stride)
        self.weight.requires_grad_(False)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def adapt(self, images: Tensor) -> None:
        """Set the filters to v/√(λ + 5e-4), over the eigenpairs of the patches' covariance."""
        patches = F.unfold(images[:WHITENED], self.kernel_size[0], stride=self.kernel_size[0])
        rows = patches.transpose(1, 2).flatten(0, 1).double()
        covariance = (rows.T @ rows) / len(rows)
        values, vectors = torch.linalg.eigh(covariance)  # rising
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0)[: self.kept]
        self.weight.copy_(torch.cat((filters, -filters)).reshape(self.weight.shape))


class Group(nn.Module):
    """Convolution, pooling, convolution, each with batch norm and GELU."""

    def __init__(self, inputs: int, outputs: int, *, pool: bool) -> None:
        super().__init__()
        self.first = _identity(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.norm = _norm(outputs)
        self.second = _identity(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False))
        self.norm2 = _norm(outputs)

    def forward(self, seen: Tensor) -> Tensor:
        """Half the map's side, if it pools; ``outputs`` wide."""
        seen = F.gelu(self.norm(self.pool(self.first(seen))))
        return F.gelu(self.norm2(self.second(seen)))


class Head(nn.Linear):
    """Linear without bias; weights start at unit deviation and logits are scaled by 1/width instead."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__(inputs, classes, bias=False)
        with torch.no_grad():
            self.weight.div_(self.weight.std())

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Logits (B, classes)."""
        return super().forward(input) / self.in_features


def _identity(convolution: nn.Conv2d) -> nn.Conv2d:
    """Start the first filters as the identity: the signal reaches the head before anything is learned."""
    nn.init.dirac_(convolution.weight[: convolution.in_channels].data)
    return convolution


def _norm(width: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width, momentum=0.4)
    norm.weight.requires_grad_(False)  # fixed at 1: the next layer's scale is free anyway
    return norm
