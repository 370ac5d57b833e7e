"""Outliers: pictures far from all others, in a small space of plain statistics or in a recognizer's embedding.

References
----------
M. Sugiyama, K. Borgwardt, "Rapid distance-based outlier detection via sampling", NIPS 2013: the distance to the
nearest among some pictures drawn at random tells outliers as well as the distance to all, in linear time.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data.inspection.issues import Issue
from diptych.data.perceptual_hash import thumbnail_batches

if TYPE_CHECKING:
    from diptych.data.images import Images

#: The mean distance to so many neighbours counts: a handful of the same strange kind do not hide each other.
NEIGHBOURS = 12
#: Pictures among which they are looked for.
SAMPLE = 4000
#: Fewer pictures than this say nothing about what is usual.
LEAST = 50
#: An outlier's log distance lies so many robust deviations above the median.
DEVIATIONS = 4.0
_BATCH = 2048

Space = NDArray[np.float32]  # (N, D)


def statistics(images: "Images") -> tuple[NDArray[np.int64], Space]:
    """Rows of the readable pictures, and (M, 17) what they are like, each column about 0 and of like spread.

    Detail at three scales, colour, contrast and the spread of tones: what tells a photograph from a page of text, a
    drawing or noise.
    """
    found = [(rows, _statistics(thumbnails)) for rows, thumbnails in thumbnail_batches(images)]
    if not found:
        return np.empty(0, np.int64), np.empty((0, 17), np.float32)
    space = np.concatenate([part for _, part in found])
    middle = np.median(space, 0)
    spread = 1.4826 * np.median(np.abs(space - middle), 0) + 1e-3
    return np.concatenate([rows for rows, _ in found]), np.clip((space - middle) / spread, -20, 20)


def outliers(rows: NDArray[np.int64], space: Space, seed: int = 0) -> list[Issue]:
    """Which pictures are far from all others, the farthest first.

    Parameters
    ----------
    rows, space
        (M,) the pictures and (M, D) where they lie: of :func:`statistics`, or a recognizer's embedding.
    """
    if len(rows) < LEAST:
        return []
    distance = np.log(_distances(space, seed) + 1e-6)
    away = distance - np.median(distance)
    far = np.flatnonzero(away > DEVIATIONS * 1.4826 * np.median(np.abs(away)))
    far = far[np.argsort(-away[far], kind="stable")]
    times = np.exp(away)
    reason = "{:.1f} times as far from the pictures most like it as is usual"
    return [Issue(int(rows[i]), "outlier", reason.format(times[i]), score=-float(times[i])) for i in far.tolist()]


def _distances(space: Space, seed: int) -> NDArray[np.float32]:
    """(M,) the mean distance to the nearest of a sample, never to itself."""
    sample = np.random.default_rng(seed).permutation(len(space))[:SAMPLE]
    known = space[sample]
    place = np.full(len(space), -1, np.int64)
    place[sample] = np.arange(len(sample))
    out = np.empty(len(space), np.float32)
    for i in range(0, len(space), _BATCH):
        some, own = space[i : i + _BATCH], place[i : i + _BATCH]
        squares = np.square(some).sum(1)[:, None] + np.square(known).sum(1)[None, :] - 2 * (some @ known.T)
        inside = np.flatnonzero(own >= 0)
        squares[inside, own[inside]] = np.inf
        nearest = np.partition(squares, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        out[i : i + _BATCH] = np.sqrt(np.maximum(nearest, 0)).mean(1)
    return out


def _statistics(thumbnails: NDArray[np.uint8]) -> Space:
    """(N, 17) of (N, 3, 32, 32): see :func:`statistics`."""
    pixels = thumbnails.astype(np.float32) / 255
    grey = pixels.mean(1)
    saturation = pixels.max(1) - pixels.min(1)
    red, green, blue = pixels.mean((2, 3)).T
    told = [grey.mean((1, 2)), red - green, blue - green, np.log(grey.std((1, 2)) + 0.01)]
    told += [np.log(saturation.mean((1, 2)) + 0.01), np.log(saturation.std((1, 2)) + 0.01)]
    for scale in (1, 2, 4):
        side = grey.shape[1] // scale
        seen = grey.reshape(len(grey), side, scale, side, scale).mean((2, 4))
        across, down = np.abs(np.diff(seen, axis=2)), np.abs(np.diff(seen, axis=1))
        flat = (across < 0.008).mean((1, 2))
        told += [np.log(across.mean((1, 2)) + 0.004), np.log(down.mean((1, 2)) + 0.004), np.log(flat + 0.01)]
    tones = (grey.reshape(len(grey), -1) * 15.99).astype(np.int64) + 16 * np.arange(len(grey))[:, None]
    shares = np.bincount(tones.ravel(), minlength=16 * len(grey)).reshape(len(grey), 16) / tones.shape[1]
    told += [-(shares * np.log(shares + 1e-9)).sum(1), np.log(shares.max(1) + 0.01)]
    return np.stack(told, 1).astype(np.float32)
