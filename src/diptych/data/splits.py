"""Splits that can be trusted: every class on both sides, no picture on both sides."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.duplicates import clusters, exact
from diptych.data.sources.base import several
from diptych.errors import UsageError

if TYPE_CHECKING:
    from diptych.data.images import Images

log = logging.getLogger("diptych")

Rows = NDArray[np.int64]

#: So many copies of one picture are always kept together.
_FEW = 4


def split(images: "Images", shares: Sequence[float], seed: int = 0) -> tuple[Rows, ...]:
    """Split pictures into parts, each class in proportion; near-duplicates stay together.

    Classes are served from the rarest to the most common, and each cluster of near-duplicates goes where its
    class is most wanted, so that several labels a picture are balanced too (Sechidis et al., "On the
    stratification of multi-label data", 2011). A class of two pictures or more (that are not near-duplicates)
    is on every side that it can be on; one of a single picture is on the side of the largest share.

    Parameters
    ----------
    images
        The pictures; single-label, multi-label or unlabelled.
    shares
        One for each part, above 0, together at most 1. What they leave is in no part.
    seed
        Which of the many fair splits.

    Returns
    -------
    The row numbers of each part, ascending.

    Raises
    ------
    UsageError
        If the shares cannot be.
    """
    wanted = [float(share) for share in shares]
    if not wanted or min(wanted) <= 0 or sum(wanted) > 1 + 1e-6:
        raise UsageError(f"Shares must be above 0 and together at most 1, not {tuple(wanted)}.")
    if len(images) == 0:
        return tuple(np.empty(0, np.int64) for _ in wanted)
    rest = 1 - sum(wanted)
    parts = np.array([*wanted, rest] if rest > 1e-6 else wanted)
    cluster = _divisible(images, clusters(images), parts.max())
    assigned = _assign(_tally(images, cluster), parts, len(wanted), np.random.default_rng(seed))
    _warn_of_rare(images)
    return tuple(np.flatnonzero(assigned[cluster] == part) for part in range(len(wanted)))


def _divisible(images: "Images", cluster: Rows, most: float) -> Rows:
    """Number the clusters 0, 1, …, having undone those that no part has room for (exact copies stay together).

    Where nearly every picture of a class looks like the next, as in frames of a film, keeping all together
    would leave the class out of every part but one.
    """
    _, cluster = np.unique(cluster, return_inverse=True)
    tally = _tally(images, cluster).tocoo()
    totals = np.bincount(tally.col, tally.data)
    large = np.unique(tally.row[(tally.data > most * totals[tally.col]) & (tally.data >= _FEW)])
    if not len(large):
        return cluster
    inside = np.flatnonzero(np.isin(cluster, large))
    log.warning(
        "%d pictures look so alike that no split can keep them together: their scores will look too good (%s).",
        len(inside), several(images.paths[inside].tolist()),
    )  # fmt: skip
    _, copies = np.unique(exact(images)[inside], return_inverse=True)
    cluster[inside] = cluster.max() + 1 + copies
    return np.unique(cluster, return_inverse=True)[1]


def _tally(images: "Images", cluster: Rows) -> Any:
    """How many pictures of each class a cluster has: sparse (clusters, K + 1), the last for no label."""
    from scipy.sparse import csr_matrix

    k = len(images.classes)
    if images.multi_label:
        rows, columns = np.nonzero(images.labels)
        bare = np.flatnonzero(~images.labels.any(1))
        rows, columns = np.concatenate([rows, bare]), np.concatenate([columns, np.full(len(bare), k)])
    else:
        rows, columns = np.arange(len(images)), np.where(images.labels < 0, k, images.labels)
    shape = (int(cluster.max()) + 1, k + 1)
    return csr_matrix((np.ones(len(rows)), (cluster[rows], columns)), shape=shape)


def _assign(tally: Any, shares: NDArray[np.float64], required: int, rng: np.random.Generator) -> Rows:
    """(clusters,) the part of each cluster; the first ``required`` parts must each see every class."""
    sizes = np.asarray(tally.sum(1)).ravel()
    totals = np.append(np.asarray(tally.sum(0)).ravel(), sizes.sum())  # the last: labels of whatever class
    targets = shares[:, None] * totals[None, :]
    needs = targets.copy()
    holds = np.zeros((required, tally.shape[1]), bool)
    assigned = np.full(tally.shape[0], -1, np.int64)
    columns = tally.tocsc()
    for label in np.argsort(totals[:-1], kind="stable").tolist():
        members = columns.indices[columns.indptr[label] : columns.indptr[label + 1]]
        members = rng.permutation(members[assigned[members] < 0])
        members = members[np.argsort(-sizes[members], kind="stable")]  # large clusters while there is room
        for left, member in zip(range(len(members), 0, -1), members.tolist(), strict=True):
            span = slice(tally.indptr[member], tally.indptr[member + 1])
            held = np.append(tally.indices[span], len(totals) - 1)
            weighed = held if len(held) > 2 else held[:1]  # with one class, its own need says it all
            wanted = (needs[:, weighed] / targets[:, weighed]).sum(1)  # so that the rarest class weighs most
            part = _part(wanted, np.flatnonzero(~holds[:, label]), left)
            assigned[member] = part
            needs[part, held] -= np.append(tally.data[span], sizes[member])
            if part < required:
                holds[part, held[:-1]] = True
    return assigned


def _part(wanted: NDArray[np.float64], empty: Rows, left: int) -> int:
    """Where it is most wanted; but where its class is not at all yet, once no more clusters are left than that."""
    if len(empty) and left <= len(empty):
        return int(empty[np.argmax(wanted[empty])])
    return int(np.argmax(wanted))


def _warn_of_rare(images: "Images") -> None:
    single = [name for name, count in images.counts().items() if count == 1]
    if single:
        log.warning("Only one picture in %s: it is on one side of the split only.", several(single))
