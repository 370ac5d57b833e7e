"""SpeedNet: small networks that learn fast, after the CIFAR-10 speed records.

A frozen whitening convolution, three groups of two 3×3 convolutions, global max pooling and a linear head; the
filters start as the identity and are trained by Muon. After Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a
single GPU" (arXiv:2404.00498) and the Muon version that followed.

==============  ===========  =============  ============================  ===========================
name            widths       convolutions   epochs on 50,000 pictures     cost of a picture (speednet)
==============  ===========  =============  ============================  ===========================
speednet-s      16/64/128    two a group    3: an answer within seconds   0.2
speednet-m      32/128/256   two a group    5: an answer within minutes   0.45
speednet        64/256/256   two a group    8: the record for 94 %        1
speednet-95     128/384/384  two a group    15: the record for 95 %       2.4
speednet-96     128/384/512  three a group  40: the record for 96 %       2.0
==============  ===========  =============  ============================  ===========================

The records' percentages are those on CIFAR-10 as it was published; on JPEG copies expect 90 % of speednet. The third
convolution of speednet-96 lies, with the second, on a residual branch; it learns from the harder half of each batch
alone, as a "speednet-s" that is trained along tells it, and costs half as much by that.

At larger pictures the whitening patch and its stride grow together, so that the first map stays near 32 to 48
px and the cost near constant; from a map of 8 px at the end on, further groups are added.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.data.transforms import Augment
from diptych.recognition.networks.network import PHOTOGRAPH, Network, TrainingRecipe, augmentation

MAP = 48  # px: the largest first map, beyond which the stride grows
WIDEST_END = 7
MOST_FILTERS = 32  # eigenvectors kept of a large patch; its mirror images double them
BIAS_TRAINS = 0.35  # of the run, while the whitening's bias is trained
WHITENED = 5000  # pictures whose patches set the whitening
MANY = 10_000  # training pictures, from which on `best_variant` knows what it says


def _strong(size: int) -> Augment:
    """For long runs: moved further, and a square greyed out."""
    if size < PHOTOGRAPH:
        return Augment(flip="alternating", shift=max(1, size // 8), cutout=3 * size // 8)
    return augmentation(size)


RECIPE = TrainingRecipe(
    batch=512,  # of those that train alike, the one that takes a third of the memory of 1536
    gpu_batch=2048,  # on an H200 a step takes 9 ms whether it shows 512 or 2,048
    optimizer="muon",
    lr=0.24,
    short=250,
    head_factor=0.8,
    bias_factor=0.08,
    decay=4e-3,
    warmup=0.0,  # steps of a fixed length need none
    label_smoothing=0.2,
    shown=400_000,
    epochs=(8, 24),
    augment=augmentation,
)
RECIPE_S = dataclasses.replace(RECIPE, batch=128, gpu_batch=512, shown=150_000, epochs=(3, 24))
RECIPE_M = dataclasses.replace(RECIPE, shown=250_000, epochs=(5, 24))
RECIPE_95 = dataclasses.replace(RECIPE, shown=750_000, epochs=(15, 30), gpu_batch=1024, parts=2)
RECIPE_96 = dataclasses.replace(
    RECIPE,
    batch=1024,
    proxy="speednet-s",
    shown=2_000_000,
    epochs=(40, 60),
    augment_long=_strong,
    gpu_batch=1024,
    parts=2,
)


class SpeedNet(Network):
    """The whitened network, for ``size`` px (8 or more) and ``classes`` classes.

    Parameters
    ----------
    widths
        Filters of each group.
    deep
        Whether a group has a third convolution, on a residual branch with the second.
    """

    def __init__(
        self, classes: int, size: int, *, widths: tuple[int, ...] = (64, 256, 256), deep: bool = False
    ) -> None:
        super().__init__()
        self.whiten = Whitening(stride=-(-size // MAP))
        side = (size - self.whiten.kernel_size[0]) // self.whiten.stride[0] + 1
        while side >> len(widths) > WIDEST_END:
            widths = (*widths, widths[-1])
        inputs = [self.whiten.out_channels, *widths[:-1]]
        groups: list[nn.Module] = []
        for before, after in zip(inputs, widths, strict=True):
            groups.append(Group(before, after, pool=side > 1, deep=deep))
            side = max(1, side // 2)
        self.groups = nn.Sequential(*groups)
        self.head = Head(widths[-1], classes)
        self.gain = 1 / widths[-1]

    def features(self, images: Tensor) -> Tensor:
        """The largest answer of each filter anywhere in the picture, (B, filters of the last group)."""
        seen: Tensor = self.groups(F.gelu(self.whiten(images)))
        return seen.amax((2, 3))

    def adapt(self, images: Tensor) -> None:
        """Set the whitening from training pictures."""
        self.whiten.adapt(images)

    def before_step(self, progress: float) -> None:
        """Train the whitening's bias early in the run only: later it costs time and moves nothing."""
        self.whiten.bias.requires_grad_(progress < BIAS_TRAINS)  # type: ignore[union-attr]


VARIANTS: dict[str, tuple[Callable[[int, int], Network], TrainingRecipe]] = {
    "speednet-s": (partial(SpeedNet, widths=(16, 64, 128)), RECIPE_S),
    "speednet-m": (partial(SpeedNet, widths=(32, 128, 256)), RECIPE_M),
    "speednet": (SpeedNet, RECIPE),
    "speednet-95": (partial(SpeedNet, widths=(128, 384, 384)), RECIPE_95),
    "speednet-96": (partial(SpeedNet, widths=(128, 384, 512), deep=True), RECIPE_96),
}
# The time that a picture takes in training, in those that it takes "speednet".
COSTS = {"speednet-s": 0.2, "speednet-m": 0.45, "speednet": 1.0, "speednet-95": 2.4, "speednet-96": 2.0}
# The epochs from which on a network learns more in the same time than the one before it. By validation on CIFAR-10, one
# seed each: in the time of 11 epochs of "speednet" (90.8 %) 5.5 of "speednet-96" come to 90.3 %, 4.6 of "speednet-95"
# to 89.7 %; in that of 23 (91.6 %) 12.2 and 9.7 come to 92.2 and 92.0 %. So "speednet-95" is taken by name alone.
LEAST_EPOCHS = {"speednet-s": 0.0, "speednet-m": 1.0, "speednet": 4.0, "speednet-96": 9.0}


def best_variant(pictures: int, seconds: float, each: float) -> str:
    """The variant that learns most from so many pictures in so much time.

    Parameters
    ----------
    pictures
        To train on. Of fewer than 10,000 it is always "speednet": what more pays there has not been measured.
    seconds
        That training may take.
    each
        Seconds that a training step of "speednet" takes for each picture.
    """
    if pictures < MANY:
        return "speednet"
    epochs = seconds / (each * pictures)
    return [name for name, least in LEAST_EPOCHS.items() if epochs >= COSTS[name] * least][-1]


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
    """Convolution, pooling, convolution, each with batch norm and GELU; if ``deep``, one more, and a way around two."""

    def __init__(self, inputs: int, outputs: int, *, pool: bool, deep: bool = False) -> None:
        super().__init__()
        self.first = _identity(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.norm = _norm(outputs)
        self.second = _identity(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False))
        self.norm2 = _norm(outputs)
        self.deep = deep
        if deep:
            self.third = _identity(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False))
            self.norm3 = _norm(outputs)

    def forward(self, seen: Tensor) -> Tensor:
        """Half the map's side, if it pools; ``outputs`` wide."""
        seen = F.gelu(self.norm(self.pool(self.first(seen))))
        further = self.norm2(self.second(seen))
        if self.deep:
            further = seen + self.norm3(self.third(F.gelu(further)))
        return F.gelu(further)


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
