"""Same scenes: pictures of one object or scene, shot again, by a network's features; no copies of each other."""

import numpy as np
from numpy.typing import NDArray

from diptych.data.inspection.issues import Issue

#: Cosine distance of two pictures of one scene at most, as a share of the median distance of two pictures of the set.
MAX_DISTANCE = 0.2
#: So many pairs are listed, the most alike first.
MAX_LISTED = 50
#: Random pairs that the median is taken over.
_SAMPLE_PAIRS = 20_000
#: Pictures that are compared with all others at a time.
_BATCH_PICTURES = 1024

Rows = NDArray[np.int64]


def find_same_scenes(
    rows: Rows, features: NDArray[np.float32], clusters: Rows, seed: int = 0
) -> tuple[list[Issue], int]:
    """The pairs of pictures that show the same scene, the most alike first, and how many pictures are in any.

    Parameters
    ----------
    rows, features
        (M,) the pictures and (M, D) their features, each of unit length.
    clusters
        (M,) numbers of clusters of copies: two pictures of one cluster are copies, and no pair here.
    seed
        Of the random pairs.
    """
    if len(rows) < 2:
        return [], 0
    usual = _usual_distance(features, seed)
    nearest, distance = _nearest(features, clusters)
    ratio = distance / max(usual, 1e-6)
    same = np.flatnonzero(ratio <= MAX_DISTANCE)
    pairs = {tuple(sorted((row, int(nearest[row])))): float(ratio[row]) for row in same.tolist()}
    ranked = sorted(pairs.items(), key=lambda pair: (pair[1], pair[0]))[:MAX_LISTED]
    reason = "shows the same object or scene as another: {:.0%} of the usual distance between two pictures"
    issues = [
        Issue(int(rows[second]), "same scene", reason.format(share), int(rows[first]), score=share)
        for (first, second), share in ranked
    ]
    return issues, len({row for pair in pairs for row in pair})


def _usual_distance(features: NDArray[np.float32], seed: int) -> float:
    """The median distance of random pairs."""
    one, other = np.random.default_rng(seed).integers(0, len(features), (2, _SAMPLE_PAIRS))
    one, other = one[one != other], other[one != other]
    return float(np.median(1 - np.einsum("ij,ij->i", features[one], features[other])))


def _nearest(features: NDArray[np.float32], clusters: Rows) -> tuple[Rows, NDArray[np.float32]]:
    """(M,) the nearest picture of another cluster, and (M,) its cosine distance; infinite where there is none."""
    nearest, distance = np.zeros(len(features), np.int64), np.full(len(features), np.inf, np.float32)
    for i in range(0, len(features), _BATCH_PICTURES):
        batch = slice(i, i + _BATCH_PICTURES)
        distances = 1 - features[batch] @ features.T
        distances[clusters[batch, None] == clusters] = np.inf
        nearest[batch], distance[batch] = distances.argmin(1), distances.min(1)
    return nearest, distance
