"""Splits that can be trusted: every class on both sides, no picture on both sides."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data.duplicates import content_digests, duplicate_clusters
from diptych.data.sources.base import join_names
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
    cluster = _divisible(images, duplicate_clusters(images), parts.max())
    assigned = _assign(_tally(images, cluster), parts, len(wanted), np.random.default_rng(seed))
    _warn_of_rare(images)
    return tuple(np.flatnonzero(assigned[cluster] == part) for part in range(len(wanted)))


def _divisible(images: "Images", cluster: Rows, most: float) -> Rows:
    """Number the clusters 0, 1, …, having undone those that no part has room for (exact copies stay together).

    Where nearly every picture of a class looks like the next, as in frames of a film, keeping all together
    would leave the class out of every part but one.
    """
    _, cluster = np.unique(cluster, return_inverse=True)
    tally = _tally(images, cluster)
    crowds = (tally.counts > most * tally.totals()[tally.labels]) & (tally.counts >= _FEW)
    large = np.unique(tally.clusters[crowds])
    if not len(large):
        return cluster
    inside = np.flatnonzero(np.isin(cluster, large))
    log.warning(
        "%d pictures look so alike that no split can keep them together: their scores will look too good (%s).",
        len(inside), join_names(images.paths[inside].tolist()),
    )  # fmt: skip
    _, copies = np.unique(content_digests(images)[inside], return_inverse=True)
    cluster[inside] = cluster.max() + 1 + copies
    return np.unique(cluster, return_inverse=True)[1]


@dataclass(frozen=True)
class _Tally:
    """How many pictures of each label the clusters have: of cluster i, ``labels`` and ``counts`` from start i on."""

    starts: Rows  # (clusters + 1,)
    labels: Rows  # class numbers; K for no label
    counts: Rows
    kinds: int  # K + 1

    @property
    def clusters(self) -> Rows:
        """Whose entry each is."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def sizes(self) -> Rows:
        """(clusters,) labels in all."""
        return np.add.reduceat(self.counts, self.starts[:-1])

    def totals(self) -> NDArray[np.float64]:
        """(K + 1,) pictures of each label."""
        return np.asarray(np.bincount(self.labels, self.counts, self.kinds), np.float64)


def _tally(images: "Images", cluster: Rows) -> _Tally:
    k = len(images.classes)
    if images.multi_label:
        rows, columns = np.nonzero(images.labels)
        bare = np.flatnonzero(~images.labels.any(1))
        rows, columns = np.concatenate([rows, bare]), np.concatenate([columns, np.full(len(bare), k)])
    else:
        rows, columns = np.arange(len(images)), np.where(images.labels < 0, k, images.labels)
    entries, counts = np.unique(cluster[rows] * (k + 1) + columns, return_counts=True)
    owner, labels = np.divmod(entries, k + 1)
    starts = np.searchsorted(owner, np.arange(int(cluster.max()) + 2))
    return _Tally(starts, labels, counts, k + 1)


def _assign(tally: _Tally, shares: NDArray[np.float64], required: int, rng: np.random.Generator) -> Rows:
    """(clusters,) the part of each cluster; the first ``required`` parts must each see every class."""
    sizes, totals, owner = tally.sizes, tally.totals(), tally.clusters
    targets = shares[:, None] * np.append(totals, totals.sum())[None, :]  # the last: labels of whatever class
    needs = targets.copy()
    holds = np.zeros((required, tally.kinds), bool)
    assigned = np.full(len(sizes), -1, np.int64)
    for label in np.argsort(totals, kind="stable").tolist():
        members = owner[tally.labels == label]
        members = rng.permutation(members[assigned[members] < 0])
        members = members[np.argsort(-sizes[members], kind="stable")]  # large clusters while there is room
        for done, member in enumerate(members.tolist()):
            if sizes[member] == 1:
                parts = _dealt(needs[:, label], targets[:, label], len(members) - done, ~holds[:, label])
                assigned[members[done:]] = parts
                given = np.bincount(parts, minlength=len(shares))
                needs[:, [label, -1]] -= given[:, None]
                holds[:, label] |= given[:required] > 0
                break
            span = slice(tally.starts[member], tally.starts[member + 1])
            held = np.append(tally.labels[span], tally.kinds)
            weighed = held if len(held) > 2 else held[:1]  # with one class, its own need says it all
            wanted = (needs[:, weighed] / targets[:, weighed]).sum(1)  # so that the rarest class weighs most
            part = _part(wanted, np.flatnonzero(~holds[:, label]), len(members) - done)
            assigned[member] = part
            needs[part, held] -= np.append(tally.counts[span], sizes[member])
            if part < required:
                holds[part, held[:-1]] = True
    return assigned


def _dealt(needs: NDArray[np.float64], targets: NDArray[np.float64], count: int, empty: NDArray[np.bool_]) -> Rows:
    """(count,) parts for as many clusters of one picture each: :func:`_part` for one after the other, at once.

    ``empty``: (required,) which parts do not have this class at all yet.
    """
    wanted = (needs[:, None] - np.arange(count)) / targets[:, None]
    parts = np.argsort(-wanted, axis=None, kind="stable")[:count] // count
    lacking = set(np.flatnonzero(empty).tolist())
    if lacking <= set(parts.tolist()):
        return parts
    taken = np.zeros(len(needs), np.int64)  # so few that a part would be left without any
    for i in range(count):
        parts[i] = _part(wanted[np.arange(len(needs)), taken], np.array(sorted(lacking), np.int64), count - i)
        taken[parts[i]] += 1
        lacking.discard(int(parts[i]))
    return parts


def _part(wanted: NDArray[np.float64], empty: Rows, left: int) -> int:
    """Where it is most wanted; but where its class is not at all yet, once no more clusters are left than that."""
    if len(empty) and left <= len(empty):
        return int(empty[np.argmax(wanted[empty])])
    return int(np.argmax(wanted))


def _warn_of_rare(images: "Images") -> None:
    single = [name for name, count in images.counts().items() if count == 1]
    if single:
        log.warning("Only one picture in %s: it is on one side of the split only.", join_names(single))
