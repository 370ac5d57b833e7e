"""Whether generated pictures copy training pictures, relative to how near held-out real pictures come to these.

Copies are found by alignment: the centre of a generated picture, as it is and mirrored, is laid over each training
picture at every shift of up to an eighth of its side, and correlated. So exact, mirrored, slightly shifted and
re-encoded copies are near, and brighter or paler ones too. Held-out real pictures come near as well, most of all where
pictures are simple; how near they come sets the thresholds below which a generated picture counts as a copy. So do
training pictures, each compared with all others: there are many more of these, which makes the thresholds stable.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_SIDE = 32  # pixels a side are enough to recognise a copy; larger pictures are resized before
MIN_REAL = 20  # real pictures from which thresholds can be computed
SUFFICIENT_REAL = 1000  # real pictures for stable thresholds
FALSE_ALARM_RATE = 1 / 3000  # share of held-out real pictures that would count as copies, at most
SIGNIFICANCE = 0.01  # probability of as many, as near matches among real pictures, below which they are beyond chance
CANDIDATES = 8  # nearest training pictures that are aligned; the last one measures how crowded the neighbourhood is
_NEAR, _LESS_NEAR = 0.05, 0.20  # quantiles of real pictures through which the tail is fitted
_MIN_POWER = 6.0  # of the tail: where plain and rich pictures are mixed it looks heavier than that of either kind
_MIN_BLURRED_SIDE = 24  # px from which pictures are blurred a little, for tolerance to shifts by half a pixel
_MIN_CONTRAST = 1 / 255  # contrast that counts as none
MAX_COLOUR_SHIFT = 40 / 255  # of a copy's mean red, green or blue
MAX_CONTRAST_FACTOR = 1.5  # by which a copy's contrast is larger or smaller
_DESCRIPTOR_SIDE = 8  # pixels a side of the descriptor that selects the candidates
_MAX_VALUES = 1 << 23  # held in memory at once
_BATCH = 512  # training pictures prepared at once


class NearestMatches(NamedTuple):
    """The most similar training picture of each of N pictures.

    Attributes
    ----------
    distance
        (N,) float32, √(2 - 2ρ) where ρ is the correlation at the best alignment: 0 equal but for brightness and
        contrast, √2 nothing in common.
    ratio
        (N,) float32 of this distance to that of the eighth nearest training picture, 0..1: near 1 the picture is as
        similar to several, near 0 it is similar to this one alone.
    row
        (N,) int64, which training picture.
    mirrored
        (N,) bool, whether its mirror image.
    same_tones
        (N,) bool, whether its mean colour and its contrast are about those of the picture.
    """

    distance: Tensor
    ratio: Tensor
    row: Tensor
    mirrored: Tensor
    same_tones: Tensor


class CopyThreshold(NamedTuple):
    """A picture counts as a copy below both ``distance`` and ``ratio``, if its tones are those of the training picture.

    ``power``: the exponent with which the share of real pictures falls towards 0 within the thresholds; ``None``: they
    were not computed from real pictures.
    """

    distance: float
    ratio: float
    power: float | None

    @property
    def calibrated(self) -> bool:
        """Whether the thresholds were computed from real pictures."""
        return self.power is not None


FIXED_THRESHOLD = CopyThreshold(0.2, 0.5, None)  # where there are too few real pictures


class TrainingPictures:
    """Training pictures prepared once for any number of comparisons.

    Parameters
    ----------
    training
        (M, 3, S, S) uint8, of a side S best at most 32.
    """

    def __init__(self, training: Tensor) -> None:
        if len(training) == 0:
            raise ValueError("There is no training picture to compare with.")
        self.pictures = _blur_large(training)
        self.descriptors = torch.cat([_descriptors(_centre(part)) for part in torch.split(self.pictures, _BATCH)]).T


def nearest_training(pictures: Tensor, training: TrainingPictures) -> NearestMatches:
    """Find the most similar training picture of each picture, shifts and mirroring allowed.

    Parameters
    ----------
    pictures
        (N, 3, S, S) uint8, of the training pictures' S and on their device. Memory is bounded.
    """
    return _nearest(_blur_large(pictures), training, None)


def _nearest(pictures: Tensor, training: TrainingPictures, excluded: Tensor | None) -> NearestMatches:
    """``excluded`` (N,): the row of the training picture that each of the blurred ``pictures`` is not compared with."""
    candidates = _candidates(pictures, training, excluded)
    values = candidates.shape[1] * 3 * _centre_side(pictures) ** 2 * _shifts(pictures)
    matches = [
        _align(pictures[rows], training.pictures[candidates[rows]], candidates[rows])
        for rows in _chunks(len(pictures), values)
    ]
    return NearestMatches(*(torch.cat(parts).cpu() for parts in zip(*matches, strict=True)))


def copy_threshold(
    training: TrainingPictures, held_out: NearestMatches | None = None, enough: int = SUFFICIENT_REAL
) -> CopyThreshold:
    """How near a picture must come to count as a copy, set so that held-out real pictures do not.

    A copy is near, and near to one picture alone, so both the distance and the ratio must be small: the larger of the
    two decides, each relative to its 5 % quantile among real pictures. The share of these below x is modelled as a
    power of x, as it is about any point where pictures have a density; the exponent is fitted through two quantiles,
    which a few true repeats hardly change, and the threshold leaves 1 in 3,000.

    Parameters
    ----------
    training
        The training pictures. Where fewer than ``enough`` are held out, these are added, each compared with all
        others: of ninety pictures a 5 % quantile has a wide range.
    held_out
        Of real pictures that were not trained on. With fewer than 20 real pictures in all, fixed thresholds are
        returned.
    enough
        Real pictures to compute the thresholds from: a thousand make them stable, and take seconds.

    References
    ----------
    The ratio is after N. Carlini et al., "Extracting training data from diffusion models", USENIX Security 2023,
    section 5; to compare with held-out pictures is after C. Meehan et al., "A non-parametric test to detect
    data-copying in generative models", AISTATS 2020.
    """
    real = [] if held_out is None else [held_out]
    real += _leave_one_out_matches(training, enough - sum(len(matches.distance) for matches in real))
    if sum(len(matches.distance) for matches in real) < MIN_REAL:
        return FIXED_THRESHOLD
    distances = torch.cat([matches.distance for matches in real]).double().clamp(min=1e-6)
    ratios = torch.cat([matches.ratio for matches in real]).double().clamp(min=1e-6)
    near_distance, near_ratio = float(distances.quantile(_NEAR)), float(ratios.quantile(_NEAR))
    relative = torch.maximum(distances / near_distance, ratios / near_ratio)
    levels = torch.tensor([_NEAR, _LESS_NEAR], dtype=torch.float64)
    near, less_near = relative.quantile(levels).tolist()
    power = max(_MIN_POWER, math.log(_LESS_NEAR / _NEAR) / max(math.log(less_near / near), 1e-3))
    bound = near * (FALSE_ALARM_RATE / _NEAR) ** (1 / power)
    return CopyThreshold(bound * near_distance, bound * near_ratio, power)


def is_copy(matches: NearestMatches, threshold: CopyThreshold) -> Tensor:
    """(N,) bool: which pictures count as copies."""
    return _relative_distance(matches, threshold) <= 1


def more_copies_than_chance(matches: NearestMatches, threshold: CopyThreshold) -> bool:
    """Whether the matches are nearer, or more of them near, than those of real pictures are in 99 of 100 samples.

    One exact copy among thousands is; one of three thousand that lies just below the thresholds is not.
    """
    relative = _relative_distance(matches, threshold).double()
    hits = relative[relative <= 1].sort().values
    if threshold.power is None:
        return len(hits) > 0
    expected = len(relative) * FALSE_ALARM_RATE * hits**threshold.power  # real pictures, each as near or nearer
    p_values = torch.special.gammainc(torch.arange(1.0, len(hits) + 1).double(), expected)  # Poisson: so many or more
    return bool((p_values < SIGNIFICANCE).any())


def _relative_distance(matches: NearestMatches, threshold: CopyThreshold) -> Tensor:
    """(N,): at most 1 within both thresholds; infinite where the tones differ."""
    relative = torch.maximum(matches.distance / threshold.distance, matches.ratio / threshold.ratio)
    return relative.masked_fill(~matches.same_tones, torch.inf)


def _leave_one_out_matches(training: TrainingPictures, most: int) -> list[NearestMatches]:
    """Matches of up to ``most`` training pictures with the others; without repeats, which would make copies usual."""
    count = len(training.pictures)
    if most <= 0 or count < 2:
        return []
    rows = torch.linspace(0, count - 1, min(most, count)).round().long()
    matches = _nearest(training.pictures[rows], training, rows)
    unique = ~is_copy(matches, FIXED_THRESHOLD)
    return [NearestMatches(*(part[unique] for part in matches))]


def _blur_large(pictures: Tensor) -> Tensor:
    """The pictures as uint8; larger ones are blurred a little."""
    if pictures.shape[-1] < _MIN_BLURRED_SIDE:
        return pictures
    taps = torch.tensor([1.0, 2.0, 1.0], device=pictures.device)
    kernel = (taps[:, None] * taps / 16).expand(3, 1, 3, 3)
    parts = (F.pad(part.float(), (1, 1, 1, 1), mode="replicate") for part in torch.split(pictures, _BATCH))
    return torch.cat([F.conv2d(part, kernel, groups=3).round().to(torch.uint8) for part in parts])


def _centre_side(pictures: Tensor) -> int:
    """Pixels a side of the centre that is compared."""
    return int(pictures.shape[-1]) - 2 * _margin(pictures)


def _margin(pictures: Tensor) -> int:
    """By how many pixels a copy may be shifted."""
    return max(1, int(pictures.shape[-1]) // 8)


def _centre(pictures: Tensor) -> Tensor:
    """The centre that is compared."""
    margin, side = _margin(pictures), _centre_side(pictures)
    return pictures[:, :, margin : margin + side, margin : margin + side]


def _shifts(pictures: Tensor) -> int:
    return (2 * _margin(pictures) + 1) ** 2


def _chunks(rows: int, values: int) -> list[slice]:
    """The rows in chunks, so that ``values`` per row stay within memory."""
    step = max(1, _MAX_VALUES // max(values, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]


def _candidates(pictures: Tensor, training: TrainingPictures, excluded: Tensor | None) -> Tensor:
    """(N, K) rows of the training pictures whose descriptors are most similar, at any alignment."""
    count, margin, side = len(training.pictures), _margin(pictures), _centre_side(pictures)
    steps = range(0, 2 * margin + 1, max(1, margin // 2))
    candidates = []
    for rows in _chunks(len(pictures), 2 * len(steps) ** 2 * count):
        chunk = pictures[rows]
        alignments = [
            _descriptors(oriented[:, :, top : top + side, left : left + side])
            for oriented in (chunk, chunk.flip(3))
            for top in steps
            for left in steps
        ]
        similarity = (torch.stack(alignments, 1) @ training.descriptors).amax(1)
        if excluded is not None:
            similarity[torch.arange(len(chunk)), excluded[rows]] = -torch.inf
        candidates.append(similarity.topk(min(CANDIDATES, count - (excluded is not None)), 1).indices)
    return torch.cat(candidates)


def _descriptors(windows: Tensor) -> Tensor:
    """(N, D) grey, downsampled, without mean, of unit length."""
    grey = windows.float().mean(1, keepdim=True) / 255
    side = min(_DESCRIPTOR_SIDE, grey.shape[-1])
    flat = F.adaptive_avg_pool2d(grey, side).flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1, eps=_MIN_CONTRAST)


def _align(pictures: Tensor, candidates: Tensor, rows: Tensor) -> NearestMatches:
    """The best alignments of (N, 3, S, S) pictures with their (N, K, 3, S, S) candidates."""
    n, k = rows.shape
    side, centre = _centre_side(pictures), _centre(pictures).float() / 255
    centre = centre - centre.mean((2, 3), keepdim=True)
    both = torch.stack((centre, centre.flip(3)), 1).flatten(2)
    floor = _MIN_CONTRAST**2 * both.shape[2]
    patches = F.unfold(candidates.flatten(0, 1).float() / 255, side)  # (N·K, 3·side², shifts)
    overlap = torch.bmm(both.repeat_interleave(k, 0), patches)
    channels = patches.reshape(n * k, 3, side * side, -1)
    energy = (channels.square().sum(2) - channels.sum(2).square() / side**2).sum(1, keepdim=True).clamp(min=0)
    own_energy = both[:, :1].square().sum(2, keepdim=True).repeat_interleave(k, 0)
    correlation = overlap / ((own_energy + floor) * (energy + floor)).sqrt()
    orientation = correlation.amax(2).reshape(n, k, 2).max(2)  # as it is, or mirrored
    distances = (2 - 2 * orientation.values).clamp(min=0).sqrt()
    order = distances.sort(1)
    first = order.indices[:, :1]
    mirrored = orientation.indices.gather(1, first)
    # Of the window of the nearest candidate to which the picture is aligned.
    row = torch.arange(n, device=rows.device) * k + first[:, 0]
    shift = correlation[row, mirrored[:, 0]].argmax(1)
    means = channels[row, :, :, shift].mean(2)
    colour_shift = (means - _centre(pictures).float().mean((2, 3)) / 255).abs().amax(1)
    contrast_ratio = ((energy[row, 0, shift] + floor) / (own_energy[row, 0, 0] + floor)).sqrt()
    same_tones = (colour_shift <= MAX_COLOUR_SHIFT) & (contrast_ratio.log().abs() <= math.log(MAX_CONTRAST_FACTOR))
    ratio = order.values[:, 0] / order.values[:, -1].clamp(min=1e-6) if k > 1 else torch.zeros_like(distances[:, 0])
    return NearestMatches(
        order.values[:, 0],
        ratio,
        rows.gather(1, first)[:, 0],
        mirrored[:, 0].bool(),
        same_tones,
    )
