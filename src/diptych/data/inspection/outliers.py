"""Outliers: pictures far from all others, in a small space of plain statistics or by a network's features.

References
----------
M. Sugiyama, K. Borgwardt, "Rapid distance-based outlier detection via sampling", NIPS 2013: the distance to the
nearest of a random sample finds outliers as well as the distance to all pictures, in linear time.
"""

import numpy as np
from numpy.typing import NDArray

from diptych.data.inspection.issues import Issue
from diptych.data.perceptual_hash import thumbnail_batches
from diptych.data.picture_set import PictureSet

#: The distance is the mean over so many neighbours, so that a handful of outliers of a kind do not hide each other.
NEIGHBOURS = 12
#: Size of the random sample that neighbours are searched in.
SAMPLE_PICTURES = 4000
#: Fewer pictures than this do not show what is usual.
MIN_PICTURES = 50
#: An outlier's log distance is more than so many robust standard deviations above the median, in plain statistics and
#: in a network's features, where distances vary less.
MIN_DEVIATIONS, MIN_FEATURE_DEVIATIONS = 4.0, 3.0
#: Of the features' covariance, towards a multiple of the identity.
SHRINKAGE = 0.5
#: Makes the median absolute deviation estimate the standard deviation of a normal distribution.
_MAD_TO_DEVIATION = 1.4826
_STATISTICS = 17
#: Pictures whose distances are computed at a time.
_BATCH_PICTURES = 2048

Features = NDArray[np.float32]  # (N, D)


def picture_statistics(images: PictureSet) -> tuple[NDArray[np.int64], Features]:
    """Rows of the readable pictures, and (M, 17) statistics of each, every column centred and of like spread.

    Detail at three scales, colour, contrast and the spread of tones: what distinguishes a photograph from a page of
    text, a drawing or noise.
    """
    parts = [(rows, _thumbnail_statistics(thumbnails)) for rows, thumbnails in thumbnail_batches(images)]
    if not parts:
        return np.empty(0, np.int64), np.empty((0, _STATISTICS), np.float32)
    features = np.concatenate([part for _, part in parts])
    median = np.median(features, 0)
    spread = _MAD_TO_DEVIATION * np.median(np.abs(features - median), 0) + 1e-3
    return np.concatenate([rows for rows, _ in parts]), np.clip((features - median) / spread, -20, 20)


def find_outliers(rows: NDArray[np.int64], statistics: Features, seed: int = 0) -> list[Issue]:
    """Which pictures are far from all others in plain statistics, the farthest first.

    Parameters
    ----------
    rows, statistics
        (M,) the pictures and their :func:`picture_statistics`.
    seed
        Of the sample that neighbours are searched in.
    """
    if len(rows) < MIN_PICTURES:
        return []
    reason = "{:.1f} times as far from the pictures most like it as is usual"
    return _far(rows, _neighbour_distances(statistics, seed), MIN_DEVIATIONS, reason)


def find_feature_outliers(rows: NDArray[np.int64], features: Features) -> list[Issue]:
    """Which pictures are far from the middle of all by a network's (M, D) features, the farthest first.

    By the Mahalanobis distance with a strongly shrunk covariance: in hundreds of dimensions all pictures are nearly as
    far from their neighbours, and a few strangers of one kind are neighbours of each other.
    """
    if len(rows) < MIN_PICTURES:
        return []
    centred = (features - features.mean(0)).astype(np.float64)
    covariance = centred.T @ centred / len(centred)
    dimensions = len(covariance)
    covariance *= 1 - SHRINKAGE
    covariance[np.diag_indices(dimensions)] += SHRINKAGE / (1 - SHRINKAGE) * np.trace(covariance) / dimensions + 1e-12
    squares = (centred * np.linalg.solve(covariance, centred.T).T).sum(1)
    distance = np.sqrt(squares).astype(np.float32)
    return _far(rows, distance, MIN_FEATURE_DEVIATIONS, "{:.1f} times as far from the middle of the set as is usual")


def _far(rows: NDArray[np.int64], distances: NDArray[np.float32], min_deviations: float, reason: str) -> list[Issue]:
    """The pictures whose log distance is so many robust standard deviations above the median, the farthest first."""
    distance = np.log(distances + 1e-6)
    excess = distance - np.median(distance)
    far = np.flatnonzero(excess > min_deviations * _MAD_TO_DEVIATION * np.median(np.abs(excess)))
    far = far[np.argsort(-excess[far], kind="stable")]
    times = np.exp(excess)
    return [Issue(int(rows[i]), "outlier", reason.format(times[i]), score=-float(times[i])) for i in far.tolist()]


def _neighbour_distances(features: Features, seed: int) -> NDArray[np.float32]:
    """(M,) the mean distance to the nearest of a sample, never to itself."""
    sample_rows = np.random.default_rng(seed).permutation(len(features))[:SAMPLE_PICTURES]
    sample = features[sample_rows]
    position = np.full(len(features), -1, np.int64)  # in the sample; -1: not in it
    position[sample_rows] = np.arange(len(sample_rows))
    out = np.empty(len(features), np.float32)
    for i in range(0, len(features), _BATCH_PICTURES):
        batch, own = features[i : i + _BATCH_PICTURES], position[i : i + _BATCH_PICTURES]
        squares = np.square(batch).sum(1)[:, None] + np.square(sample).sum(1)[None, :] - 2 * (batch @ sample.T)
        in_sample = np.flatnonzero(own >= 0)
        squares[in_sample, own[in_sample]] = np.inf
        nearest = np.partition(squares, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        out[i : i + _BATCH_PICTURES] = np.sqrt(np.maximum(nearest, 0)).mean(1)
    return out


def _thumbnail_statistics(thumbnails: NDArray[np.uint8]) -> Features:
    """(N, 17) of (N, 3, 32, 32): see :func:`picture_statistics`."""
    pixels = thumbnails.astype(np.float32) / 255
    grey = pixels.mean(1)
    saturation = pixels.max(1) - pixels.min(1)
    red, green, blue = pixels.mean((2, 3)).T
    columns = [grey.mean((1, 2)), red - green, blue - green, np.log(grey.std((1, 2)) + 0.01)]
    columns += [np.log(saturation.mean((1, 2)) + 0.01), np.log(saturation.std((1, 2)) + 0.01)]
    for scale in (1, 2, 4):
        side = grey.shape[1] // scale
        reduced = grey.reshape(len(grey), side, scale, side, scale).mean((2, 4))
        across, down = np.abs(np.diff(reduced, axis=2)), np.abs(np.diff(reduced, axis=1))
        flat = (across < 0.008).mean((1, 2))
        columns += [np.log(across.mean((1, 2)) + 0.004), np.log(down.mean((1, 2)) + 0.004), np.log(flat + 0.01)]
    tones = (grey.reshape(len(grey), -1) * 15.99).astype(np.int64) + 16 * np.arange(len(grey))[:, None]
    shares = np.bincount(tones.ravel(), minlength=16 * len(grey)).reshape(len(grey), 16) / tones.shape[1]
    columns += [-(shares * np.log(shares + 1e-9)).sum(1), np.log(shares.max(1) + 0.01)]
    return np.stack(columns, 1).astype(np.float32)
