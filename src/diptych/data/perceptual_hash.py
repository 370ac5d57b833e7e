"""What a picture looks like in a few numbers that hardly change when it is resized, re-encoded or mirrored.

References
----------
Perceptual hash: C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010 (DCT).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data import store

if TYPE_CHECKING:
    from diptych.data.images import Images

#: Pixels a side of the thumbnails that are looked at, and of what is kept of them.
THUMBNAIL, SMALL = 32, 16
#: A picture counts as leaning to neither side when its lean is under this share of its contrast: what an encoder
#: does moves the lean by a third of that.
_UPRIGHT = 0.05
_BATCH = 4096

SmallThumbnails = NDArray[np.uint8]  # (N, 3, 16, 16)


@dataclass(frozen=True)
class PerceptualHashes:
    """A look at every readable picture, turned so that its brighter side is on the left.

    A picture and its mirror image look the same then. One that leans to neither side has two looks, one each way,
    since a trifle decides which way it would be turned.

    Attributes
    ----------
    rows
        (M,) whose look it is.
    codes
        (M,) 64-bit perceptual hashes.
    brightness
        (M,) means.
    small
        (M, 3, 16, 16) the pictures themselves.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.uint64]
    brightness: NDArray[np.float32]
    small: SmallThumbnails


def perceptual_hashes(images: "Images") -> PerceptualHashes:
    """Look at every picture that can be read."""
    parts = [_looks(rows, thumbnails) for rows, thumbnails in thumbnail_batches(images)]
    if not parts:
        empty = np.empty(0, np.int64)
        return PerceptualHashes(
            empty, empty.astype(np.uint64), empty.astype(np.float32), np.empty((0, 3, SMALL, SMALL), np.uint8)
        )
    columns = zip(*parts, strict=True)
    rows, codes, brightness, small = (np.concatenate(column) for column in columns)
    return PerceptualHashes(rows, codes, brightness, small)


def thumbnail_batches(images: "Images") -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Rows of the pictures that can be read and their (n, 3, 32, 32) thumbnails, a few thousand at a time."""
    sources, place, resident = images._sources, images._place, images.fits_in_memory(THUMBNAIL)
    unreadable = (store.fill if resident else store.check)(sources, place, THUMBNAIL, "squash")
    rows = np.setdiff1d(np.arange(len(images)), list(unreadable)).astype(np.int64)
    batches = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    if resident:
        for batch in batches:
            yield batch, store.gather(sources, place[batch], THUMBNAIL, "squash")
    else:
        yield from zip(batches, store.stream(sources, place, THUMBNAIL, "squash", batches), strict=True)


def halve(thumbnails: NDArray[np.uint8]) -> SmallThumbnails:
    """Average (N, 3, 32, 32) over squares of two by two pixels."""
    return np.asarray((_sums(thumbnails) + 2) >> 2, np.uint8)


def hashes(coefficients: NDArray[np.float32]) -> NDArray[np.uint64]:
    """64-bit perceptual hashes of (N, 64) lowest frequencies: which of them lie above their median."""
    middle = np.partition(coefficients, (31, 32), axis=1)[:, 31:33].mean(1, keepdims=True)
    packed: NDArray[np.uint64] = np.packbits(coefficients > middle, axis=1).view(np.uint64).ravel()
    return packed


def _looks(
    rows: NDArray[np.int64], thumbnails: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float32], SmallThumbnails]:
    sums = _sums(thumbnails)
    small = np.asarray((sums + 2) >> 2, np.uint8)
    grey = (sums[:, 0] + sums[:, 1] + sums[:, 2]).reshape(len(sums), -1).astype(np.float32)
    brightness = grey.mean(1)
    low = grey @ _basis()
    low[:, 0] = 0.0  # the mean brightness says nothing about the content
    lean = low[:, 1].copy()  # the slowest wave across: how much brighter the left is
    contrast = np.sqrt(np.square(grey - brightness[:, None]).sum(1))
    rightward = np.flatnonzero(lean < 0)
    small[rightward] = small[rightward, :, :, ::-1]
    low[rightward] *= _mirroring()
    both = np.flatnonzero(np.abs(lean) <= _UPRIGHT * contrast)
    low = np.concatenate([low, low[both] * _mirroring()])
    small = np.concatenate([small, small[both, :, :, ::-1]])
    return np.append(rows, rows[both]), hashes(low), np.append(brightness, brightness[both]), small


def _sums(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """(N, 3, 16, 16) sums over squares of two by two pixels, two pixels read as one number for speed."""
    twos = np.ascontiguousarray(thumbnails).view(np.uint16)
    across = (twos & 255) + (twos >> 8)
    return np.asarray(across[:, :, 0::2] + across[:, :, 1::2])


@cache
def _basis() -> NDArray[np.float32]:
    """(256, 64): the lowest eight by eight waves of the cosine transform over 16 x 16 pixels, of unit length."""
    frequency, position = np.arange(8)[:, None], np.arange(SMALL)[None, :]
    waves = np.cos(np.pi * frequency * (2 * position + 1) / (2 * SMALL))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.asarray(np.einsum("uy,vx->yxuv", waves, waves).reshape(SMALL * SMALL, 64), np.float32)


@cache
def _mirroring() -> NDArray[np.float32]:
    """(64,) what mirroring multiplies each wave by: -1 where it swings an odd number of times across."""
    return np.tile(np.array([1, -1], np.float32), 32)
