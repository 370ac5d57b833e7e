"""Whether made pictures copy training pictures, judged by how near real pictures come that were not trained on.

A copy is looked for by alignment: the middle of a made picture, as it is and mirrored, is laid over each training
picture at every shift of up to an eighth of its side, and correlated. So exact, mirrored, slightly shifted and
re-encoded copies are near, brighter or paler ones too. Real pictures that were not trained on come near as well,
most of all where pictures are simple; how near they come sets the bounds under which a made one counts as a copy.
So do training pictures, compared with all others of them: there are many more of these, which makes bounds steady.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST_SIDE = 32  # pixels a side that are enough to tell a copy; larger pictures are resized before
FEWEST = 20  # real pictures from which bounds can be drawn
ENOUGH = 1000  # of them, that bounds are steady
FALSE_ALARMS = 1 / 3000  # share of real, unseen pictures that would count as copies, at most
CHANCE = 0.01  # of finding so many so near among real pictures, from which on it is none
RIVALS = 8  # nearest training pictures that are aligned; the last of them says how crowded it is there
_NEAR, _LESS_NEAR = 0.05, 0.20  # quantiles of held-out pictures through which the tail is drawn
_LEAST_POWER = 6.0  # of the tail: where plain and rich pictures are mixed it looks heavier than that of either is
_BLURRED = 24  # px a side from which pictures are blurred a little, so that shifts by half a pixel are borne
_FLAT = 1 / 255  # contrast that counts as none
_COARSE = 8  # pixels a side of what picks the candidates
_NUMBERS = 1 << 23  # held at a time
_AT_ONCE = 512  # training pictures made ready at a time


class NearestMatches(NamedTuple):
    """The training picture that each of N pictures is most like.

    Attributes
    ----------
    distance
        (N,) float32, √(2 - 2ρ) where ρ is the correlation at the best alignment: 0 the same but for brightness and
        contrast, √2 nothing in common.
    ratio
        (N,) float32 of this distance to that of the eighth nearest training picture, 0..1: near 1 the picture is as
        like to several, near 0 it is like this one alone.
    row
        (N,) int64, which training picture.
    mirrored
        (N,) bool, whether its mirror image.
    """

    distance: Tensor
    ratio: Tensor
    row: Tensor
    mirrored: Tensor


class CopyThreshold(NamedTuple):
    """Under both of these a picture counts as a copy.

    ``power``: with which the share of real pictures within a part of them falls; ``None``: real pictures did not
    set them.
    """

    distance: float
    ratio: float
    power: float | None

    @property
    def calibrated(self) -> bool:
        """Whether real pictures set them."""
        return self.power is not None


FIXED_THRESHOLD = CopyThreshold(0.2, 0.5, None)  # where there is nothing to draw them from


class TrainingPictures:
    """Training pictures made ready to be compared with, as often as need be.

    Parameters
    ----------
    training
        (M, 3, S, S) uint8, of a side S best at most 32.
    """

    def __init__(self, training: Tensor) -> None:
        if len(training) == 0:
            raise ValueError("There is no training picture to compare with.")
        self.pictures = _steadied(training)
        self.outlines = torch.cat([_outline(_middle(some)) for some in torch.split(self.pictures, _AT_ONCE)]).T


def nearest_training(pictures: Tensor, known: TrainingPictures) -> NearestMatches:
    """Find the training picture that each picture is most like, shifts and mirroring allowed.

    Parameters
    ----------
    pictures
        (N, 3, S, S) uint8, of the training pictures' S and on their device. Memory is bounded.
    """
    return _nearest(_steadied(pictures), known, None)


def _nearest(pictures: Tensor, known: TrainingPictures, own: Tensor | None) -> NearestMatches:
    """``own`` (N,): rows of the training pictures that each of the steadied ``pictures`` is not compared with."""
    candidates = _candidates(pictures, known, own)
    found = [
        _aligned(pictures[rows], known.pictures[candidates[rows]], candidates[rows])
        for rows in _chunks(len(pictures), candidates.shape[1] * 3 * _window(pictures) ** 2 * _shifts(pictures))
    ]
    return NearestMatches(*(torch.cat(parts).cpu() for parts in zip(*found, strict=True)))


def copy_threshold(
    known: TrainingPictures, held_out: NearestMatches | None = None, enough: int = ENOUGH
) -> CopyThreshold:
    """How near a picture must come to count as a copy, so that real ones that were not trained on do not.

    A copy is near and near to one picture alone, so both the distance and the ratio must be small: what counts is the
    larger of the two, each over its 5 % quantile among real pictures. How many of these come under x is taken to
    fall like a power of x, as it does about any point where pictures have a density; the power is read off two
    quantiles, which a few true repeats hardly move, and the bound is where 1 in 3,000 is left.

    Parameters
    ----------
    known
        The training pictures. Where fewer than ``enough`` are held out, these make up for them, each compared
        with all others: of ninety pictures a 5 % quantile is any of a wide range.
    held_out
        Of real pictures that were not trained on. With fewer than 20 real pictures in all, fixed bounds are given.
    enough
        Real pictures to draw the bounds from: a thousand make them steady, and take seconds.

    References
    ----------
    The ratio is after N. Carlini et al., "Extracting training data from diffusion models", USENIX Security 2023,
    section 5; to compare with held-out pictures is after C. Meehan et al., "A non-parametric test to detect
    data-copying in generative models", AISTATS 2020.
    """
    real = [] if held_out is None else [held_out]
    real += _among(known, enough - sum(len(matches.distance) for matches in real))
    if sum(len(matches.distance) for matches in real) < FEWEST:
        return FIXED_THRESHOLD
    distances = torch.cat([matches.distance for matches in real]).double().clamp(min=1e-6)
    ratios = torch.cat([matches.ratio for matches in real]).double().clamp(min=1e-6)
    near_distance, near_ratio = float(distances.quantile(_NEAR)), float(ratios.quantile(_NEAR))
    nearness = torch.maximum(distances / near_distance, ratios / near_ratio)
    ends = torch.tensor([_NEAR, _LESS_NEAR], dtype=torch.float64)
    near, less_near = nearness.quantile(ends).tolist()
    power = max(_LEAST_POWER, math.log(_LESS_NEAR / _NEAR) / max(math.log(less_near / near), 1e-3))
    bound = near * (FALSE_ALARMS / _NEAR) ** (1 / power)
    return CopyThreshold(bound * near_distance, bound * near_ratio, power)


def is_copy(found: NearestMatches, limit: CopyThreshold) -> Tensor:
    """(N,) bool: which pictures count as copies."""
    return _nearness(found, limit) <= 1


def more_copies_than_chance(found: NearestMatches, limit: CopyThreshold) -> bool:
    """Whether pictures come nearer, or more of them near, than as many real ones do but once in a hundred times.

    One exact copy among thousands does; one of three thousand that lies just under the bounds does not.
    """
    nearness = _nearness(found, limit).double()
    hits = nearness[nearness <= 1].sort().values
    if limit.power is None:
        return len(hits) > 0
    expected = len(nearness) * FALSE_ALARMS * hits**limit.power  # of real pictures, each as near or nearer
    at_least_so_many = torch.special.gammainc(torch.arange(1.0, len(hits) + 1).double(), expected)  # Poisson
    return bool((at_least_so_many < CHANCE).any())


def _nearness(found: NearestMatches, limit: CopyThreshold) -> Tensor:
    """(N,): at most 1 within both bounds."""
    return torch.maximum(found.distance / limit.distance, found.ratio / limit.ratio)


def _among(known: TrainingPictures, most: int) -> list[NearestMatches]:
    """Of up to ``most`` training pictures with the others; without repeats, or copies would seem to be usual."""
    count = len(known.pictures)
    if most <= 0 or count < 2:
        return []
    rows = torch.linspace(0, count - 1, min(most, count)).round().long()
    found = _nearest(known.pictures[rows], known, rows)
    once = ~is_copy(found, FIXED_THRESHOLD)
    return [NearestMatches(*(part[once] for part in found))]


def _steadied(pictures: Tensor) -> Tensor:
    """Larger pictures a little blurred, as uint8."""
    if pictures.shape[-1] < _BLURRED:
        return pictures
    wave = torch.tensor([1.0, 2.0, 1.0], device=pictures.device)
    kernel = (wave[:, None] * wave / 16).expand(3, 1, 3, 3)
    parts = (F.pad(some.float(), (1, 1, 1, 1), mode="replicate") for some in torch.split(pictures, _AT_ONCE))
    return torch.cat([F.conv2d(part, kernel, groups=3).round().to(torch.uint8) for part in parts])


def _window(pictures: Tensor) -> int:
    """Pixels a side of the middle that is compared."""
    return int(pictures.shape[-1]) - 2 * _margin(pictures)


def _margin(pictures: Tensor) -> int:
    """By how many pixels a copy may be shifted."""
    return max(1, int(pictures.shape[-1]) // 8)


def _middle(pictures: Tensor) -> Tensor:
    """What of them is compared."""
    margin, window = _margin(pictures), _window(pictures)
    return pictures[:, :, margin : margin + window, margin : margin + window]


def _shifts(pictures: Tensor) -> int:
    return (2 * _margin(pictures) + 1) ** 2


def _chunks(rows: int, numbers: int) -> list[slice]:
    """The rows, so many at a time that ``numbers`` each stay within memory."""
    step = max(1, _NUMBERS // max(numbers, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]


def _candidates(pictures: Tensor, known: TrainingPictures, own: Tensor | None) -> Tensor:
    """(N, K) rows of the training pictures that look most alike in grey and blurred, in some alignment."""
    count, margin, window = len(known.pictures), _margin(pictures), _window(pictures)
    steps = range(0, 2 * margin + 1, max(1, margin // 2))
    picked = []
    for rows in _chunks(len(pictures), 2 * len(steps) ** 2 * count):
        some = pictures[rows]
        views = [
            _outline(turned[:, :, top : top + window, left : left + window])
            for turned in (some, some.flip(3))
            for top in steps
            for left in steps
        ]
        likeness = (torch.stack(views, 1) @ known.outlines).amax(1)
        if own is not None:
            likeness[torch.arange(len(some)), own[rows]] = -torch.inf
        picked.append(likeness.topk(min(RIVALS, count - (own is not None)), 1).indices)
    return torch.cat(picked)


def _outline(windows: Tensor) -> Tensor:
    """(N, D) grey, blurred, without mean, of unit length."""
    grey = windows.float().mean(1, keepdim=True) / 255
    side = min(_COARSE, grey.shape[-1])
    flat = F.adaptive_avg_pool2d(grey, side).flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1, eps=_FLAT)


def _aligned(pictures: Tensor, rivals: Tensor, rows: Tensor) -> NearestMatches:
    """Of (N, 3, S, S) pictures and their (N, K, 3, S, S) candidates, the best alignments."""
    n, k = rows.shape
    window, middle = _window(pictures), _middle(pictures).float() / 255
    middle = middle - middle.mean((2, 3), keepdim=True)
    both = torch.stack((middle, middle.flip(3)), 1).flatten(2)
    floor = _FLAT**2 * both.shape[2]
    over = rivals.flatten(0, 1).float() / 255
    patches = F.unfold(over, window)  # (N·K, 3·w², shifts)
    overlap = torch.bmm(both.repeat_interleave(k, 0), patches)
    parts = patches.reshape(n * k, 3, window * window, -1)
    energy = (parts.square().sum(2) - parts.sum(2).square() / window**2).sum(1, keepdim=True).clamp(min=0)
    own = both[:, :1].square().sum(2, keepdim=True).repeat_interleave(k, 0)
    correlation = overlap / ((own + floor) * (energy + floor)).sqrt()
    best = correlation.amax(2).reshape(n, k, 2)  # (N, K, 2)
    straight_or_turned = best.max(2)
    distances = (2 - 2 * straight_or_turned.values).clamp(min=0).sqrt()
    order = distances.sort(1)
    first = order.indices[:, :1]
    ratio = order.values[:, 0] / order.values[:, -1].clamp(min=1e-6) if k > 1 else torch.zeros_like(distances[:, 0])
    return NearestMatches(
        order.values[:, 0],
        ratio,
        rows.gather(1, first)[:, 0],
        straight_or_turned.indices.gather(1, first)[:, 0].bool(),
    )
