"""Series: shots of one object or scene, which a split keeps on one side, as it keeps near-duplicates.

A recognizer that has seen one shot of a thing recognises the others easily, and so they say little about how it does on
other things. Two pictures of a class belong to one series if a pretrained backbone's features say that they show nearly
the same, and their names differ in numbers only; so do all that are linked by such pairs.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Cosine similarity, of features with their mean taken out, from which on two pictures show nearly the same. Of
#: pictures of different things of one class, one in fifty has another as near; of a shop's shelf, nearly all.
MIN_SIMILARITY = 0.72
#: What a series may have of its class. A larger one is searched again with the next similarity: where all pictures are
#: alike, as in X-rays, to be alike does not mean to show the same thing.
MAX_SHARE, SIMILARITIES = 0.5, (MIN_SIMILARITY, 0.8, 0.88, 0.96, np.inf)
#: More pictures than this are not compared: it takes the square of their number.
MAX_PICTURES = 20_000
_BATCH_PICTURES = 1024
_NEIGHBOURS = 16  # at most that a picture is linked to

Features = NDArray[np.float32]  # (N, D)


def series_of(paths: NDArray[np.str_], labels: NDArray[Any], features: Features) -> NDArray[np.int64]:
    """(N,) the number of each picture's series, from 0; most pictures are a series of their own.

    Parameters
    ----------
    paths, labels
        Of at most :data:`MAX_PICTURES` pictures. Labels are not looked at where a picture may have several, (N, K).
    features
        (N, D) of a pretrained backbone.
    """
    if not len(paths):
        return np.empty(0, np.int64)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    unit = unit - unit.mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    stems = np.array([re.sub(r"\d+", "", path) for path in paths.tolist()])
    kinds = np.unique(stems, return_inverse=True)[1] if labels.ndim == 2 else _pairs_number(labels, stems)
    series, count = np.empty(len(paths), np.int64), 0
    for kind in range(int(kinds.max()) + 1 if len(kinds) else 0):
        rows = np.flatnonzero(kinds == kind)
        linked = _linked(unit[rows])
        series[rows] = count + linked
        count += int(linked.max()) + 1
    return series


def _pairs_number(one: NDArray[np.int64], other: NDArray[np.str_]) -> NDArray[np.int64]:
    """(N,) a number for each pair of values."""
    _, number = np.unique(other, return_inverse=True)
    return np.asarray(np.unique(np.stack([one, number]), axis=1, return_inverse=True)[1].ravel(), np.int64)


def _linked(unit: Features) -> NDArray[np.int64]:
    """(n,) the series of pictures of one kind, from 0."""
    series = np.zeros(len(unit), np.int64)
    for similarity in SIMILARITIES:
        sizes = np.bincount(series)
        large = np.flatnonzero((sizes > MAX_SHARE * len(unit)) & (sizes > 1))
        for number in large.tolist():
            rows = np.flatnonzero(series == number)
            series[rows] = int(series.max()) + 1 + _components(unit[rows], similarity)
    return np.asarray(np.unique(series, return_inverse=True)[1], np.int64)


def _components(unit: Features, similarity: float) -> NDArray[np.int64]:
    """(n,) which pictures are linked, by pairs at least so similar."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones, others = _near_pairs(unit, similarity)
    graph = coo_array((np.ones(len(ones)), (ones, others)), shape=(len(unit), len(unit)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _near_pairs(unit: Features, similarity: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both members of each pair at least so similar; of a picture with many, those most similar to it."""
    ones, others = [], []
    for start in range(0, len(unit), _BATCH_PICTURES):
        similarities = unit[start : start + _BATCH_PICTURES] @ unit.T
        near = min(_NEIGHBOURS + 1, len(unit))  # itself among them
        columns = np.argpartition(-similarities, near - 1, axis=1)[:, :near]
        row, column = np.nonzero(np.take_along_axis(similarities, columns, 1) >= similarity)
        ones.append(row + start)
        others.append(columns[row, column])
    return np.concatenate(ones), np.concatenate(others)
