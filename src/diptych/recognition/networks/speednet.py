"""SpeedNet: small networks that train fast, after the CIFAR-10 speed records.

A frozen whitening convolution, three groups of two 3×3 convolutions, global max pooling and a linear head; the
filters start as the identity and are trained by Muon. After Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a
single GPU" (arXiv:2404.00498) and the Muon version that followed.

==============  ===========  =============  ============================  ===========================
name            widths       convolutions   epochs on 50,000 pictures     cost of a picture (speednet)
==============  ===========  =============  ============================  ===========================
speednet-s      16/64/128    two a group    3: a result within seconds    0.2
speednet-m      32/128/256   two a group    5: a result within minutes    0.45
speednet        64/256/256   two a group    8: the record for 94 %        1
speednet-95     128/384/384  two a group    15: the record for 95 %       2.4
speednet-96     128/384/512  three a group  40: the record for 96 %       2.0
==============  ===========  =============  ============================  ===========================

The records' percentages are those on CIFAR-10 as published; on JPEG copies expect 90 % of speednet. The second and
third convolutions of speednet-96 form a residual branch. It learns only from the harder half of each batch, which a
"speednet-s" trained alongside selects; that halves its cost.

For larger pictures the whitening patch and its stride grow together, so that the first map stays near 32 to 48 px and
the cost near constant; further groups are added while the last map would be 8 px or more.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.data.transforms import Augment
from diptych.recognition.networks.network import PHOTOGRAPH, Network, TrainingRecipe, augmentation

MAX_FIRST_MAP = 48  # px: for larger pictures the stride grows
MAX_LAST_MAP = 7  # px: for larger maps groups are added
MAX_EIGENVECTORS = 32  # of a large patch; their negatives double the filters
BIAS_SHARE = 0.35  # of the run, in which the whitening's bias is trained
WHITENING_PICTURES = 5000  # whose patches set the whitening
MIN_PICTURES = 10_000  # training pictures, below which variants have not been compared


def _strong(size: int) -> Augment:
    """For long runs: larger shifts, and a square greyed out."""
    if size < PHOTOGRAPH:
        return Augment(flip="alternating", shift=max(1, size // 8), cutout=3 * size // 8)
    return augmentation(size)


RECIPE = TrainingRecipe(
    batch=512,  # scores like 1536, with a third of the memory
    gpu_batch=2048,  # on an H200 a step takes 9 ms for 512 and for 2,048 pictures
    optimizer="muon",
    lr=0.24,
    short_steps=250,
    head_factor=0.8,
    bias_factor=0.08,
    decay=4e-3,
    warmup=0.0,  # Muon's steps have a fixed length and need none
    label_smoothing=0.2,
    pictures_shown=400_000,
    epochs=(8, 24),
    augment=augmentation,
)
RECIPE_S = dataclasses.replace(RECIPE, batch=128, gpu_batch=512, pictures_shown=150_000, epochs=(3, 24))
RECIPE_M = dataclasses.replace(RECIPE, pictures_shown=250_000, epochs=(5, 24))
RECIPE_95 = dataclasses.replace(RECIPE, pictures_shown=750_000, epochs=(15, 30), gpu_batch=1024, microbatches=2)
RECIPE_96 = dataclasses.replace(
    RECIPE,
    batch=1024,
    proxy="speednet-s",
    pictures_shown=2_000_000,
    epochs=(40, 60),
    augment_long=_strong,
    gpu_batch=1024,
    microbatches=2,
)


class SpeedNet(Network):
    """SpeedNet for pictures of ``size`` px (8 or more) and ``classes`` classes.

    Parameters
    ----------
    widths
        Number of filters of each group.
    deep
        Whether a group has a third convolution, on a residual branch with the second.
    """

    def __init__(
        self, classes: int, size: int, *, widths: tuple[int, ...] = (64, 256, 256), deep: bool = False
    ) -> None:
        super().__init__()
        self.whiten = Whitening(stride=-(-size // MAX_FIRST_MAP))
        side = (size - self.whiten.kernel_size[0]) // self.whiten.stride[0] + 1
        while side >> len(widths) > MAX_LAST_MAP:
            widths = (*widths, widths[-1])
        inputs = [self.whiten.out_channels, *widths[:-1]]
        groups: list[nn.Module] = []
        for channels, width in zip(inputs, widths, strict=True):
            groups.append(Group(channels, width, pool=side > 1, deep=deep))
            side = max(1, side // 2)
        self.groups = nn.Sequential(*groups)
        self.head = Head(widths[-1], classes)
        self.gain = 1 / widths[-1]

    def features(self, images: Tensor) -> Tensor:
        """The maximum of each filter of the last group over the picture, (B, filters)."""
        maps: Tensor = self.groups(F.gelu(self.whiten(images)))
        return maps.amax((2, 3))

    def adapt(self, images: Tensor) -> None:
        """Set the whitening from training pictures."""
        self.whiten.adapt(images)

    def before_step(self, progress: float) -> None:
        """Train the whitening's bias early in the run only: later it costs time and changes nothing."""
        self.whiten.bias.requires_grad_(progress < BIAS_SHARE)  # type: ignore[union-attr]


VARIANTS: dict[str, tuple[Callable[[int, int], Network], TrainingRecipe]] = {
    "speednet-s": (partial(SpeedNet, widths=(16, 64, 128)), RECIPE_S),
    "speednet-m": (partial(SpeedNet, widths=(32, 128, 256)), RECIPE_M),
    "speednet": (SpeedNet, RECIPE),
    "speednet-95": (partial(SpeedNet, widths=(128, 384, 384)), RECIPE_95),
    "speednet-96": (partial(SpeedNet, widths=(128, 384, 512), deep=True), RECIPE_96),
}
# Training time of a picture, as a multiple of that of "speednet".
COSTS = {"speednet-s": 0.2, "speednet-m": 0.45, "speednet": 1.0, "speednet-95": 2.4, "speednet-96": 2.0}
# Epochs from which on a variant scores higher than the one before it in the same time. Validation on CIFAR-10, one seed
# each: in the time of 11 epochs of "speednet" (90.8 %), 5.5 of "speednet-96" reach 90.3 %, 4.6 of "speednet-95"
# 89.7 %; in that of 23 (91.6 %), 12.2 and 9.7 reach 92.2 and 92.0 %. So "speednet-95" is used by name only.
MIN_EPOCHS = {"speednet-s": 0.0, "speednet-m": 1.0, "speednet": 4.0, "speednet-96": 9.0}


def best_variant(pictures: int, seconds: float, seconds_per_picture: float) -> str:
    """The variant that scores highest in a given training time.

    Parameters
    ----------
    pictures
        Number of training pictures. Below 10,000 it is always "speednet": the variants were not compared there.
    seconds
        Training time.
    seconds_per_picture
        Training time of "speednet" for one picture.
    """
    if pictures < MIN_PICTURES:
        return "speednet"
    epochs = seconds / (seconds_per_picture * pictures)
    return [name for name, minimum in MIN_EPOCHS.items() if epochs >= COSTS[name] * minimum][-1]


class Whitening(nn.Conv2d):
    """A frozen convolution with uncorrelated outputs of equal variance, and their negatives.

    Its patches are 2·stride px wide: 2×2 at stride 1, whose twelve eigenvectors are all used.
    """

    def __init__(self, stride: int) -> None:
        patch = 2 * stride
        self.eigenvectors = min(3 * patch * patch, MAX_EIGENVECTORS)
        super().__init__(3, 2 * self.eigenvectors, patch, stride)
        self.weight.requires_grad_(False)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def adapt(self, images: Tensor) -> None:
        """Set the filters to v/√(λ + 5e-4), for the largest eigenvalues λ of the patches' covariance."""
        patches = F.unfold(images[:WHITENING_PICTURES], self.kernel_size[0], stride=self.kernel_size[0])
        rows = patches.transpose(1, 2).flatten(0, 1).double()
        covariance = (rows.T @ rows) / len(rows)
        values, vectors = torch.linalg.eigh(covariance)  # ascending
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0)[: self.eigenvectors]
        self.weight.copy_(torch.cat((filters, -filters)).reshape(self.weight.shape))


class Group(nn.Module):
    """Convolution, pooling, convolution, with batch norm and GELU; ``deep``: a third, with a skip around two."""

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

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, s, s) -> (B, outputs, s, s), or half of s if it pools."""
        maps = F.gelu(self.norm(self.pool(self.first(maps))))
        outputs = self.norm2(self.second(maps))
        if self.deep:
            outputs = maps + self.norm3(self.third(F.gelu(outputs)))
        return F.gelu(outputs)


class Head(nn.Linear):
    """Linear without bias; weights start at unit standard deviation, and logits are scaled by 1/width instead."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__(inputs, classes, bias=False)
        with torch.no_grad():
            self.weight.div_(self.weight.std())

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Logits (B, classes)."""
        return super().forward(input) / self.in_features


def _identity(convolution: nn.Conv2d) -> nn.Conv2d:
    """Initialise the first filters as the identity: the signal reaches the head from the start."""
    nn.init.dirac_(convolution.weight[: convolution.in_channels].data)
    return convolution


def _norm(width: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width, momentum=0.4)
    norm.weight.requires_grad_(False)  # fixed at 1: the next layer can scale it
    return norm
