"""Splits that can be trusted: every class in every part, no picture (nor its copy) in two parts."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.data.duplicates import connected, content_digests, duplicate_clusters
from diptych.data.messages import join_names
from diptych.data.picture_set import PictureSet
from diptych.errors import UsageError

log = logging.getLogger("diptych")

Rows = NDArray[np.int64]

#: A cluster of fewer pictures of one class than this is never divided, even where no part has room for it.
_MIN_DIVISIBLE_PICTURES = 4


def split(images: PictureSet, shares: Sequence[float], seed: int = 0, series: Rows | None = None) -> tuple[Rows, ...]:
    """Split pictures into parts, each class in proportion; near-duplicates, and series, stay together.

    Classes are assigned from the rarest to the most common, and each cluster of near-duplicates goes where its
    class is most needed, so that multi-label sets are balanced too (Sechidis et al., "On the stratification of
    multi-label data", 2011). A class of two pictures or more (that are not near-duplicates) is in every part that
    it can be in; a class of a single picture is in the part of the largest share.

    Parameters
    ----------
    images
        The pictures; single-label, multi-label or unlabelled.
    shares
        One for each part, above 0, together at most 1. What they leave is in no part.
    seed
        Which of the many fair splits.
    series
        (N,) the number of each picture's series, see :func:`diptych.data.series.series_of`; ``None``: none are known.

    Returns
    -------
    The row numbers of each part, ascending.

    Raises
    ------
    UsageError
        If a share is not above 0, or the shares exceed 1 together.
    """
    required = [float(share) for share in shares]
    if not required or not min(required) > 0 or not sum(required) <= 1 + 1e-6:
        raise UsageError(f"Shares must be above 0 and together at most 1, not {tuple(required)}.")
    if len(images) == 0:
        return tuple(np.empty(0, np.int64) for _ in required)
    rest = 1 - sum(required)
    parts = np.array([*required, rest] if rest > 1e-6 else required)
    cluster = _clusters(images, series)
    if series is not None:  # what no part has room for is kept together no longer
        cluster = np.where(_in_large(images, cluster, parts.max()), duplicate_clusters(images), len(images) + cluster)
    cluster = _divide_large(images, cluster, parts.max())
    assigned = _assign(_tally(images, cluster), parts, len(required), np.random.default_rng(seed))
    _warn_of_single(images)
    return tuple(np.flatnonzero(assigned[cluster] == part) for part in range(len(required)))


def folds_of(images: PictureSet, count: int, seed: int = 0, series: Rows | None = None) -> tuple[Rows, ...]:
    """Rows of ``count`` parts for cross-validation: as :func:`split`, with clusters whole however large they are.

    Of fewer clusters than that, there are fewer folds.
    """
    _, cluster = np.unique(_clusters(images, series), return_inverse=True)
    shares = np.full(count, 1 / count)
    assigned = _assign(_tally(images, cluster), shares, count, np.random.default_rng(seed))[cluster]
    folds = [np.flatnonzero(assigned == fold) for fold in range(count)]
    return tuple(fold for fold in folds if len(fold))


def _clusters(images: PictureSet, series: Rows | None) -> Rows:
    """(N,) the cluster of each picture: those that share a near-duplicate or a series are in one."""
    duplicates = duplicate_clusters(images)
    if series is None:
        return duplicates
    rows = np.arange(len(images))
    _, first, number = np.unique(series, return_index=True, return_inverse=True)
    return connected(len(images), np.concatenate([np.stack([duplicates, rows], 1), np.stack([first[number], rows], 1)]))


def _divide_large(images: PictureSet, cluster: Rows, largest_share: float) -> Rows:
    """Number the clusters 0, 1, …, and divide those that no part has room for (exact copies stay together).

    Where nearly every picture of a class looks like the next, as in frames of a film, keeping all together
    would leave the class out of every part but one.
    """
    _, cluster = np.unique(cluster, return_inverse=True)
    members = np.flatnonzero(_in_large(images, cluster, largest_share))
    if not len(members):
        return cluster
    log.warning(
        "%d pictures look so alike that no split can keep them together: their scores will look too good (%s).",
        len(members), join_names(images.paths[members].tolist()),
    )  # fmt: skip
    _, copies = np.unique(content_digests(images)[members], return_inverse=True)
    cluster[members] = cluster.max() + 1 + copies
    return np.unique(cluster, return_inverse=True)[1]


def _in_large(images: PictureSet, cluster: Rows, largest_share: float) -> NDArray[np.bool_]:
    """(N,) which pictures are in a cluster that, of one of its labels, no part has room for."""
    _, cluster = np.unique(cluster, return_inverse=True)
    tally = _tally(images, cluster)
    too_large = tally.counts > largest_share * tally.totals()[tally.labels]
    large = np.unique(tally.clusters[too_large & (tally.counts >= _MIN_DIVISIBLE_PICTURES)])
    return np.isin(cluster, large)


@dataclass(frozen=True)
class _Tally:
    """Pictures of each label in each cluster: those of cluster i are ``labels`` and ``counts`` from start i on."""

    starts: Rows  # (clusters + 1,)
    labels: Rows  # class numbers; K for no label
    counts: Rows
    kinds: int  # K + 1

    @property
    def clusters(self) -> Rows:
        """The cluster of each entry."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def sizes(self) -> Rows:
        """(clusters,) labels in all."""
        return np.add.reduceat(self.counts, self.starts[:-1])

    def totals(self) -> NDArray[np.float64]:
        """(K + 1,) pictures of each label."""
        return np.asarray(np.bincount(self.labels, self.counts, self.kinds), np.float64)


def _tally(images: PictureSet, cluster: Rows) -> _Tally:
    k = len(images.classes)
    if images.multi_label:
        rows, columns = np.nonzero(images.labels)
        unlabelled = np.flatnonzero(~images.labels.any(1))
        rows, columns = np.concatenate([rows, unlabelled]), np.concatenate([columns, np.full(len(unlabelled), k)])
    else:
        rows, columns = np.arange(len(images)), np.where(images.labels < 0, k, images.labels)
    entries, counts = np.unique(cluster[rows] * (k + 1) + columns, return_counts=True)
    owner, labels = np.divmod(entries, k + 1)
    starts = np.searchsorted(owner, np.arange(int(cluster.max()) + 2))
    return _Tally(starts, labels, counts, k + 1)


def _assign(tally: _Tally, shares: NDArray[np.float64], required: int, rng: np.random.Generator) -> Rows:
    """(clusters,) the part of each cluster; the first ``required`` parts must each get every class."""
    sizes, totals, owner = tally.sizes, tally.totals(), tally.clusters
    targets = shares[:, None] * np.append(totals, totals.sum())[None, :]  # the last: labels of whatever class
    needs = targets.copy()
    present = np.zeros((required, tally.kinds), bool)
    assigned = np.full(len(sizes), -1, np.int64)
    for label in np.argsort(totals, kind="stable").tolist():
        members = owner[tally.labels == label]
        members = rng.permutation(members[assigned[members] < 0])
        members = members[np.argsort(-sizes[members], kind="stable")]  # large clusters while there is room
        for done, member in enumerate(members.tolist()):
            if sizes[member] == 1:
                parts = _assign_singles(needs[:, label], targets[:, label], len(members) - done, ~present[:, label])
                assigned[members[done:]] = parts
                added = np.bincount(parts, minlength=len(shares))
                needs[:, [label, -1]] -= added[:, None]
                present[:, label] |= added[:required] > 0
                break
            span = slice(tally.starts[member], tally.starts[member + 1])
            columns = np.append(tally.labels[span], tally.kinds)
            weighed = columns if len(columns) > 2 else columns[:1]  # with one class, its own need decides
            need = (needs[:, weighed] / targets[:, weighed]).sum(1)  # relative, so that the rarest class weighs most
            part = _neediest(need, np.flatnonzero(~present[:, label]), len(members) - done)
            assigned[member] = part
            needs[part, columns] -= np.append(tally.counts[span], sizes[member])
            if part < required:
                present[part, columns[:-1]] = True
    return assigned


def _assign_singles(
    needs: NDArray[np.float64], targets: NDArray[np.float64], count: int, absent: NDArray[np.bool_]
) -> Rows:
    """(count,) parts for as many clusters of one picture each: :func:`_neediest` one after the other, at once.

    ``absent``: (required,) which parts do not have this class at all yet.
    """
    need = (needs[:, None] - np.arange(count)) / targets[:, None]
    parts = np.argsort(-need, axis=None, kind="stable")[:count] // count
    lacking = set(np.flatnonzero(absent).tolist())
    if lacking <= set(parts.tolist()):
        return parts
    taken = np.zeros(len(needs), np.int64)  # so scarce that a part would be left without any
    for i in range(count):
        parts[i] = _neediest(need[np.arange(len(needs)), taken], np.array(sorted(lacking), np.int64), count - i)
        taken[parts[i]] += 1
        lacking.discard(int(parts[i]))
    return parts


def _neediest(need: NDArray[np.float64], absent: Rows, left: int) -> int:
    """The part with the greatest need; of those without the class, once only as many clusters are left as they are."""
    if len(absent) and left <= len(absent):
        return int(absent[np.argmax(need[absent])])
    return int(np.argmax(need))


def _warn_of_single(images: PictureSet) -> None:
    single = [name for name, count in images.counts().items() if count == 1]
    if single:
        log.warning("Only one picture in %s: it is in one part of the split only.", join_names(single))
