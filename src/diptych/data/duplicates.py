"""Near-duplicates: pictures that are the same but for resizing, re-encoding or a touch of retouching.

A perceptual hash proposes pairs; the pictures' thumbnails decide. The hash alone would join plain pictures
that merely look alike.

References
----------
Perceptual hash: C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010 (DCT).
Search in Hamming space by parts: M. Norouzi, A. Punjani, D. Fleet, "Fast search in Hamming space with
multi-index hashing", CVPR 2012.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import reading

if TYPE_CHECKING:
    from diptych.data.images import Images

#: Pixels a side of the thumbnails that are compared.
THUMBNAIL = 32
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


def clusters(images: "Images") -> NDArray[np.int64]:
    """(N,) the number of each picture's cluster: its own, or that of the first picture that it repeats."""
    known = images._memory.get("clusters")
    if known is None:
        known = images._memory["clusters"] = _joined(len(images), _links(images))
    return np.asarray(known)


def pairs(images: "Images") -> Pairs:
    """Each picture that repeats another, behind the first that it is an exact copy of, else a near-duplicate."""
    first = clusters(images)
    _, earliest, inverse = np.unique(
        np.stack([first.astype(np.uint64), exact(images)]), axis=1, return_index=True, return_inverse=True
    )
    copied = earliest[inverse.ravel()]
    rows = np.arange(len(images))
    original = np.where(copied != rows, copied, first)
    again = original != rows
    return np.stack([original[again], rows[again]], 1).astype(np.int64)


def hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64-bit perceptual hashes of (N, 3, 32, 32) uint8: the signs of the lowest frequencies about their median."""
    grey = thumbnails.astype(np.float32).mean(1)
    transform = _cosines(THUMBNAIL)[:8]
    low = (transform @ grey @ transform.T).reshape(len(grey), 64)
    low[:, 0] = 0.0  # the mean brightness says nothing about the content
    bits = low > np.median(low, axis=1, keepdims=True)
    packed: NDArray[np.uint64] = np.packbits(bits, axis=1).view(np.uint64).ravel()
    return packed


def candidates(codes: NDArray[np.uint64], order: NDArray[np.float32]) -> Iterator[Pairs]:
    """Pairs whose hashes differ in at most 7 bits; in crowded buckets, only neighbours by ``order``."""
    octets = codes.view(np.uint8).reshape(-1, _PARTS)
    for part in range(_PARTS):
        rank = np.lexsort((order, octets[:, part]))
        keys = octets[rank, part]
        for step in range(1, min(_NEIGHBOURS, len(codes) - 1) + 1):
            same = keys[step:] == keys[:-step]
            if not same.any():
                break
            first, second = rank[:-step][same], rank[step:][same]
            near = np.bitwise_count(codes[first] ^ codes[second]) <= _BITS
            if near.any():
                found = np.stack([first[near], second[near]], 1)
                yield np.sort(found, axis=1)


def same_picture(
    first: NDArray[np.uint8], second: NDArray[np.uint8], share: NDArray[np.float32] | float = _SHARE
) -> NDArray[np.bool_]:
    """Whether (M, 3, 16, 16) thumbnails show the same picture.

    Their difference (root mean square over pixels and colours) is at most ``share`` of the contrast (standard
    deviation) of the plainer of the two, or one level of 255.
    """
    one, two = (half.reshape(len(half), -1).astype(np.float32) for half in (first, second))
    difference = np.sqrt(((one - two) ** 2).mean(1))
    contrast = np.minimum(one.std(1), two.std(1))
    return np.asarray(difference <= 1.0 + share * contrast)


def exact(images: "Images") -> NDArray[np.uint64]:
    """(N,) a digest of each picture's content: equal for exact copies; 0 where it cannot be read."""
    reading.check(images._sources, images._place, THUMBNAIL, "squash")
    out = np.zeros(len(images), np.uint64)
    for number, here, rows in images._place.by_source():
        out[here] = images._sources[number].decoded.digests[rows]
    return out


def _links(images: "Images") -> Pairs:
    """Pairs of near-duplicates that tie every cluster together, though not every pair of it."""
    rows, codes, order, small = _looks(images)
    if len(rows) < 2:
        return np.empty((0, 2), np.int64)
    # What looks the same to the last bit is tied to its first; the rest of the search need not see it again.
    flat = np.ascontiguousarray(small.reshape(len(rows), -1)).view(np.dtype((np.void, small[0].size))).ravel()
    earliest = _first_of(flat)
    first = np.unique(earliest)
    same = np.stack([earliest, np.arange(len(rows))], 1)
    proposed = np.concatenate([np.empty((0, 2), np.int64), *candidates(codes[first], order[first])])
    proposed = first[np.unique(proposed, axis=0)]
    tiny = images.dimensions()[rows].min(1) < _TINY
    share = np.where(tiny[proposed].any(1), np.float32(_TINY_SHARE), np.float32(_SHARE))
    keep = np.zeros(len(proposed), bool)
    for i in range(0, len(proposed), _BATCH):
        one, two = proposed[i : i + _BATCH].T
        keep[i : i + _BATCH] = same_picture(small[one], small[two], share[i : i + _BATCH])
    found: Pairs = rows[np.concatenate([same, proposed[keep]])]
    return found


def _looks(
    images: "Images",
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float32], NDArray[np.uint8]]:
    """Which pictures can be read; of these the hash, the mean, and (M, 3, 16, 16) of what they look like."""
    sources, place, resident = images._sources, images._place, images.fits_in_memory(THUMBNAIL)
    unreadable = (reading.fill if resident else reading.check)(sources, place, THUMBNAIL, "squash")
    rows = np.setdiff1d(np.arange(len(images)), list(unreadable)).astype(np.int64)
    batches = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    if resident:
        blocks = (reading.gather(sources, place[batch], THUMBNAIL, "squash") for batch in batches)
    else:
        blocks = reading.stream(sources, place, THUMBNAIL, "squash", batches)  # type: ignore[assignment]
    codes, order = np.zeros(len(rows), np.uint64), np.zeros(len(rows), np.float32)
    small = np.zeros((len(rows), 3, THUMBNAIL // 2, THUMBNAIL // 2), np.uint8)
    for start, block in zip(range(0, len(rows), _BATCH), blocks, strict=True):
        here = slice(start, start + len(block))
        codes[here], order[here] = hashes(block), block.mean((1, 2, 3), dtype=np.float32)
        halves = block.reshape(len(block), 3, THUMBNAIL // 2, 2, THUMBNAIL // 2, 2)
        small[here] = np.rint(halves.mean((3, 5), dtype=np.float32))
    return rows, codes, order, small


def _first_of(group: NDArray[Any]) -> NDArray[np.int64]:
    """Where the group of each member was first seen."""
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


def _cosines(n: int) -> NDArray[np.float32]:
    """The matrix of the discrete cosine transform, DCT-II, (n, n)."""
    frequency, position = np.arange(n)[:, None], np.arange(n)[None, :]
    return np.asarray(np.cos(np.pi * frequency * (2 * position + 1) / (2 * n)), np.float32)


def _joined(n: int, found: Pairs) -> NDArray[np.int64]:
    """Connected components of pairs, each named by its first member."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(found), bool), (found[:, 0], found[:, 1])), shape=(n, n))
    _, component = connected_components(links, directed=False)
    return _first_of(component)
