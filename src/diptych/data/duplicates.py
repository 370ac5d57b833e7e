"""Near-duplicates: pictures that are the same but for resizing, re-encoding, mirroring or a touch of retouching.

A perceptual hash proposes pairs; the pictures' thumbnails decide. The hash alone would join plain pictures
that merely look alike.

References
----------
Search in Hamming space by parts: M. Norouzi, A. Punjani, D. Fleet, "Fast search in Hamming space with
multi-index hashing", CVPR 2012.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import store
from diptych.data.perceptual_hash import THUMBNAIL, SmallThumbnails, halve, perceptual_hashes

if TYPE_CHECKING:
    from diptych.data.images import Images

#: Hashes of 64 bits that differ in at most so many are looked at.
_BITS = 7
#: Parts of a hash; pigeonhole: of 8 parts, one must agree where at most 7 bits differ.
_PARTS = 8
#: In a part's bucket, each picture meets at most so many others, those of the most similar mean.
_NEIGHBOURS = 128
#: Averaged to 16 px, which evens out what an encoder does, copies differ by at most this share of their contrast.
_SHARE = 0.25
#: Pictures of under 24 px have no finer detail that could tell look-alikes apart, so they must agree more closely.
_TINY, _TINY_SHARE = 24, 0.12
_BATCH = 4096

Pairs = NDArray[np.int64]  # (M, 2), the smaller number first


def duplicate_clusters(images: "Images") -> NDArray[np.int64]:
    """(N,) the number of each picture's cluster: its own, or that of the first picture that it repeats."""
    known = images._memory.get("clusters")
    if known is None:
        known = images._memory["clusters"] = _joined(len(images), _links(images))
    return np.asarray(known)


def duplicate_pairs(images: "Images") -> Pairs:
    """Each picture that repeats another, behind the first that it is an exact copy of, else a near-duplicate."""
    first = duplicate_clusters(images)
    _, earliest, inverse = np.unique(
        np.stack([first.astype(np.uint64), content_digests(images)]), axis=1, return_index=True, return_inverse=True
    )
    copied = earliest[inverse.ravel()]
    rows = np.arange(len(images))
    original = np.where(copied != rows, copied, first)
    again = original != rows
    return np.stack([original[again], rows[again]], 1).astype(np.int64)


def cross_duplicates(images: "Images", side: NDArray[Any]) -> Pairs:
    """Each picture that repeats one of another side, behind the first such: what leaks between parts or folders.

    ``side``: (N,) what must be kept apart. Of a cluster on two sides, every picture is in at least one pair.
    """
    first = duplicate_clusters(images)
    _, number = np.unique(side, return_inverse=True)
    rows = np.arange(len(first))
    strangers = rows[number != number[first]]
    stranger = dict(zip(first[strangers[::-1]].tolist(), strangers[::-1].tolist(), strict=True))  # the first of each
    kin = [row for row in rows[(number == number[first]) & (rows != first)].tolist() if int(first[row]) in stranger]
    found = [(int(first[row]), row) for row in strangers.tolist()]
    found += [tuple(sorted((row, stranger[int(first[row])]))) for row in kin]
    return np.array(sorted(found), np.int64).reshape(-1, 2)


def mirrored_pairs(images: "Images", found: Pairs) -> NDArray[np.bool_]:
    """(M,) whether the second of each pair looks more like the mirror image of the first."""
    if not len(found):
        return np.zeros(0, bool)
    rows, place = np.unique(found, return_inverse=True)
    small = halve(images[rows].pixels(THUMBNAIL).numpy()).astype(np.float32)[place.reshape(found.shape)]
    straight, turned = (
        np.square(small[:, 0] - other).sum((1, 2, 3)) for other in (small[:, 1], small[:, 1, ..., ::-1])
    )
    return np.asarray(turned < straight)


def candidate_pairs(codes: NDArray[np.uint64], order: NDArray[np.float32]) -> Iterator[Pairs]:
    """Pairs whose hashes differ in at most 7 bits; in crowded buckets, only neighbours by ``order``."""
    octets = codes.view(np.uint8).reshape(-1, _PARTS)
    for part in range(_PARTS):
        rank = np.lexsort((order, octets[:, part]))
        keys, sorted_codes = octets[rank, part], codes[rank]
        for step in range(1, min(_NEIGHBOURS, len(codes) - 1) + 1):
            same = keys[step:] == keys[:-step]
            if not same.any():
                break
            near = np.flatnonzero(same & (np.bitwise_count(sorted_codes[step:] ^ sorted_codes[:-step]) <= _BITS))
            if len(near):
                yield np.sort(np.stack([rank[near], rank[near + step]], 1), axis=1)


def same_picture(
    first: SmallThumbnails, second: SmallThumbnails, share: NDArray[np.float32] | float = _SHARE
) -> NDArray[np.bool_]:
    """Whether (M, 3, 16, 16) thumbnails show the same picture.

    Their difference (root mean square over pixels and colours) is at most ``share`` of the contrast (standard
    deviation) of the plainer of the two, or one level of 255.
    """
    one, two = (half.reshape(len(half), -1).astype(np.float32) for half in (first, second))
    difference = np.sqrt(((one - two) ** 2).mean(1))
    contrast = np.minimum(one.std(1), two.std(1))
    return np.asarray(difference <= 1.0 + share * contrast)


def content_digests(images: "Images") -> NDArray[np.uint64]:
    """(N,) a digest of each picture's content: equal for exact copies; 0 where it cannot be read."""
    store.check(images._sources, images._place, THUMBNAIL, "squash")
    out = np.zeros(len(images), np.uint64)
    for number, here, rows in images._place.by_source():
        out[here] = images._sources[number].decoded.digests[rows]
    return out


def _links(images: "Images") -> Pairs:
    """Pairs of near-duplicates that tie every cluster together, though not every pair of it."""
    seen = perceptual_hashes(images)
    if len(seen.rows) < 2:
        return np.empty((0, 2), np.int64)
    # What looks the same to the last bit is tied to its first; the rest of the search need not see it again.
    flat = np.ascontiguousarray(seen.small.reshape(len(seen.rows), -1))
    earliest = _first_of(flat.view(np.uint64) @ _MULTIPLIERS)
    earliest = np.where((flat == flat[earliest]).all(1), earliest, np.arange(len(flat)))
    first = np.unique(earliest)
    same = np.stack([earliest, np.arange(len(earliest))], 1)
    proposed = np.concatenate([np.empty((0, 2), np.int64), *candidate_pairs(seen.codes[first], seen.brightness[first])])
    proposed = first[np.unique(proposed, axis=0)]
    proposed = proposed[seen.rows[proposed[:, 0]] != seen.rows[proposed[:, 1]]]
    keep = np.zeros(len(proposed), bool)
    for i in range(0, len(proposed), _BATCH):
        some = proposed[i : i + _BATCH]
        one, two = seen.small[some[:, 0]], seen.small[some[:, 1]]
        keep[i : i + _BATCH] = same_picture(one, two, _shares(images, seen.rows[some]))
    return np.asarray(seen.rows[np.concatenate([same, proposed[keep]])])


def _shares(images: "Images", found: Pairs) -> NDArray[np.float32]:
    """(M,) how much of their contrast the two of a pair may differ by."""
    rows, place = np.unique(found, return_inverse=True)
    tiny = images[rows].dimensions().min(1) < _TINY
    return np.where(tiny[place.reshape(found.shape)].any(1), np.float32(_TINY_SHARE), np.float32(_SHARE))


def _first_of(group: NDArray[Any]) -> NDArray[np.int64]:
    """Where the group of each member was first seen."""
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


#: Of a sum that tells thumbnails apart: odd numbers without a pattern.
_MULTIPLIERS = np.random.default_rng(0).integers(0, 1 << 63, 96, np.uint64) * np.uint64(2) + np.uint64(1)


def _joined(n: int, found: Pairs) -> NDArray[np.int64]:
    """Connected components of pairs, each named by its first member."""
    first = np.arange(n)
    one, two = found.T
    while True:
        low = np.minimum(first[one], first[two])
        before = first.copy()
        for side in (first[one], first[two], one, two):
            np.minimum.at(first, side, low)
        first = first[first]
        if (first == before).all():
            return first
