"""Near-duplicates: pictures that are the same but for resizing, re-encoding, mirroring or slight retouching.

A perceptual hash proposes pairs; the pictures' thumbnails decide. The hash alone would join plain pictures
that merely look alike.

References
----------
Search in Hamming space by parts: M. Norouzi, A. Punjani, D. Fleet, "Fast search in Hamming space with
multi-index hashing", CVPR 2012.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.perceptual_hash import THUMBNAIL_PIXELS, SmallThumbnails, downsample_by_two, perceptual_hashes
from diptych.data.picture_set import PictureSet

#: Hashes of 64 bits that differ in at most so many bits are compared by thumbnail.
_MAX_HASH_BITS = 7
#: Parts of a hash; pigeonhole: of 8 parts, one must agree where at most 7 bits differ.
_HASH_PARTS = 8
#: In a part's bucket, each picture is compared with at most so many others, those of the most similar mean.
_MAX_NEIGHBOURS = 128
#: Averaged to 16 px, which evens out what an encoder does, copies differ by at most this share of their contrast.
_MAX_DIFFERENCE = 0.25
#: Pictures of under 24 px have no finer detail that could distinguish look-alikes, so they must agree more closely.
_TINY_PIXELS, _MAX_TINY_DIFFERENCE = 24, 0.12
#: Pairs that are compared at a time.
_BATCH_PAIRS = 4096
#: Weights of a sum that distinguishes thumbnails: odd numbers without a pattern.
_SUM_WEIGHTS = np.random.default_rng(0).integers(0, 1 << 63, 96, np.uint64) * np.uint64(2) + np.uint64(1)

Pairs = NDArray[np.int64]  # (M, 2), the smaller number first


def duplicate_clusters(images: PictureSet) -> NDArray[np.int64]:
    """(N,) the number of each picture's cluster: its own, or that of the first picture that it repeats."""
    return images.cached("duplicate_clusters", lambda: connected(len(images), _linked_pairs(images)))


def duplicate_pairs(images: PictureSet) -> Pairs:
    """Each picture that repeats another, behind the first that it is an exact copy of, else a near-duplicate."""
    first = duplicate_clusters(images)
    _, earliest, inverse = np.unique(
        np.stack([first.astype(np.uint64), content_digests(images)]), axis=1, return_index=True, return_inverse=True
    )
    exact_original = earliest[inverse.ravel()]
    rows = np.arange(len(images))
    original = np.where(exact_original != rows, exact_original, first)
    repeats = original != rows
    return np.stack([original[repeats], rows[repeats]], 1).astype(np.int64)


def repeated_share(images: PictureSet) -> float:
    """Share of the pictures that repeat another one, exactly or nearly: 0 where all differ."""
    return 1 - len(np.unique(duplicate_clusters(images))) / len(images)


def cross_duplicates(images: PictureSet, part: NDArray[Any]) -> Pairs:
    """Each picture that repeats one of another part, behind the first such: what leaks between parts or folders.

    ``part``: (N,) what must be kept apart. Of a cluster in two parts, every picture is in at least one pair.
    """
    first = duplicate_clusters(images)
    _, number = np.unique(part, return_inverse=True)
    rows = np.arange(len(first))
    outside = rows[number != number[first]]  # in another part than the first of their cluster
    first_outside = dict(zip(first[outside[::-1]].tolist(), outside[::-1].tolist(), strict=True))
    inside = rows[(number == number[first]) & (rows != first)].tolist()
    pairs = [(int(first[row]), row) for row in outside.tolist()]
    for row in inside:
        if int(first[row]) in first_outside:
            other = first_outside[int(first[row])]
            pairs.append((min(row, other), max(row, other)))
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def mirrored_pairs(images: PictureSet, pairs: Pairs) -> NDArray[np.bool_]:
    """(M,) whether the second of each pair looks more like the mirror image of the first."""
    if not len(pairs):
        return np.zeros(0, bool)
    rows, position = np.unique(pairs, return_inverse=True)
    small = downsample_by_two(images[rows].pixels(THUMBNAIL_PIXELS).numpy()).astype(np.float32)[
        position.reshape(pairs.shape)
    ]
    plain, mirrored = (np.square(small[:, 0] - other).sum((1, 2, 3)) for other in (small[:, 1], small[:, 1, ..., ::-1]))
    return np.asarray(mirrored < plain)


def candidate_pairs(codes: NDArray[np.uint64], order: NDArray[np.float32]) -> Iterator[Pairs]:
    """Pairs whose hashes differ in at most 7 bits; in crowded buckets, only neighbours by ``order``."""
    octets = codes.view(np.uint8).reshape(-1, _HASH_PARTS)
    for part in range(_HASH_PARTS):
        rank = np.lexsort((order, octets[:, part]))
        keys, sorted_codes = octets[rank, part], codes[rank]
        for step in range(1, min(_MAX_NEIGHBOURS, len(codes) - 1) + 1):
            same = keys[step:] == keys[:-step]
            if not same.any():
                break
            distance = np.bitwise_count(sorted_codes[step:] ^ sorted_codes[:-step])
            near = np.flatnonzero(same & (distance <= _MAX_HASH_BITS))
            if len(near):
                yield np.sort(np.stack([rank[near], rank[near + step]], 1), axis=1)


def same_picture(
    first: SmallThumbnails, second: SmallThumbnails, share: NDArray[np.float32] | float = _MAX_DIFFERENCE
) -> NDArray[np.bool_]:
    """Whether (M, 3, 16, 16) thumbnails show the same picture.

    Their difference (root mean square over pixels and colours) is at most ``share`` of the contrast (standard
    deviation) of the plainer of the two, or one level of 255.
    """
    one, two = (half.reshape(len(half), -1).astype(np.float32) for half in (first, second))
    difference = np.sqrt(((one - two) ** 2).mean(1))
    contrast = np.minimum(one.std(1), two.std(1))
    return np.asarray(difference <= 1.0 + share * contrast)


def content_digests(images: PictureSet) -> NDArray[np.uint64]:
    """(N,) a digest of each picture's content: equal for exact copies; 0 where it cannot be read."""
    images.store.check(THUMBNAIL_PIXELS, "squash")
    return images.store.digests()


def _linked_pairs(images: PictureSet) -> Pairs:
    """Pairs of near-duplicates that connect every cluster, though not every pair of it."""
    hashes = perceptual_hashes(images)
    if len(hashes.rows) < 2:
        return np.empty((0, 2), np.int64)
    # Identical thumbnails are linked to their first; the rest of the search leaves them out.
    flat = np.ascontiguousarray(hashes.small.reshape(len(hashes.rows), -1))
    earliest = _first_of_group(flat.view(np.uint64) @ _SUM_WEIGHTS)
    earliest = np.where((flat == flat[earliest]).all(1), earliest, np.arange(len(flat)))
    first = np.unique(earliest)
    identical = np.stack([earliest, np.arange(len(earliest))], 1)
    candidates = [np.empty((0, 2), np.int64), *candidate_pairs(hashes.codes[first], hashes.brightness[first])]
    proposed = first[np.unique(np.concatenate(candidates), axis=0)]
    proposed = proposed[hashes.rows[proposed[:, 0]] != hashes.rows[proposed[:, 1]]]
    accepted = np.zeros(len(proposed), bool)
    for i in range(0, len(proposed), _BATCH_PAIRS):
        pairs = proposed[i : i + _BATCH_PAIRS]
        one, two = hashes.small[pairs[:, 0]], hashes.small[pairs[:, 1]]
        accepted[i : i + _BATCH_PAIRS] = same_picture(one, two, _max_differences(images, hashes.rows[pairs]))
    return np.asarray(hashes.rows[np.concatenate([identical, proposed[accepted]])])


def _max_differences(images: PictureSet, pairs: Pairs) -> NDArray[np.float32]:
    """(M,) the share of their contrast that the two of a pair may differ by."""
    rows, position = np.unique(pairs, return_inverse=True)
    tiny = images[rows].dimensions().min(1) < _TINY_PIXELS
    any_tiny = tiny[position.reshape(pairs.shape)].any(1)
    return np.where(any_tiny, np.float32(_MAX_TINY_DIFFERENCE), np.float32(_MAX_DIFFERENCE))


def _first_of_group(group: NDArray[Any]) -> NDArray[np.int64]:
    """The first member of each member's group."""
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


def connected(n: int, pairs: Pairs) -> NDArray[np.int64]:
    """Connected components of pairs, each named by its first member."""
    first = np.arange(n)
    one, two = pairs.T
    while True:
        low = np.minimum(first[one], first[two])
        before = first.copy()
        for members in (first[one], first[two], one, two):
            np.minimum.at(first, members, low)
        first = first[first]
        if (first == before).all():
            return first
