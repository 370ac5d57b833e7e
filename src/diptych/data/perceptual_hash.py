"""Perceptual hashes: a few numbers a picture that hardly change when it is resized, re-encoded or mirrored.

References
----------
Perceptual hash: C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010 (DCT).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diptych.data.picture_set import PictureSet

#: Pixels a side of the thumbnails that are hashed, and of the smaller ones that are kept.
THUMBNAIL_PIXELS, SMALL_PIXELS = 32, 16
#: A picture has no brighter side when left and right differ by under this share of its contrast: what an encoder
#: does moves that difference by a third of it.
_MAX_SYMMETRIC_LEAN = 0.05
#: Thumbnails that are hashed at a time.
_BATCH_PICTURES = 4096

SmallThumbnails = NDArray[np.uint8]  # (N, 3, 16, 16)


@dataclass(frozen=True)
class PerceptualHashes:
    """A hash of every readable picture, mirrored where needed so that its brighter side is on the left.

    A picture and its mirror image have the same hash then. One without a brighter side has two hashes, one each
    way, since a trifle decides which way it would be mirrored.

    Attributes
    ----------
    rows
        (M,) the row of the picture that each hash belongs to.
    codes
        (M,) 64-bit perceptual hashes.
    brightness
        (M,) means.
    small
        (M, 3, 16, 16) the thumbnails.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.uint64]
    brightness: NDArray[np.float32]
    small: SmallThumbnails


def perceptual_hashes(images: PictureSet) -> PerceptualHashes:
    """Hash every picture that can be read."""
    parts = [_hash_batch(rows, thumbnails) for rows, thumbnails in thumbnail_batches(images)]
    if not parts:
        empty = np.empty(0, np.int64)
        return PerceptualHashes(
            empty,
            empty.astype(np.uint64),
            empty.astype(np.float32),
            np.empty((0, 3, SMALL_PIXELS, SMALL_PIXELS), np.uint8),
        )
    columns = zip(*parts, strict=True)
    rows, codes, brightness, small = (np.concatenate(column) for column in columns)
    return PerceptualHashes(rows, codes, brightness, small)


def thumbnail_batches(images: PictureSet) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Rows of the pictures that can be read and their (n, 3, 32, 32) thumbnails, a few thousand at a time."""
    store, resident = images.store, images.fits_in_memory(THUMBNAIL_PIXELS)
    unreadable = (store.fill if resident else store.check)(THUMBNAIL_PIXELS, "squash")
    rows = np.setdiff1d(np.arange(len(images)), list(unreadable)).astype(np.int64)
    batches = [rows[i : i + _BATCH_PICTURES] for i in range(0, len(rows), _BATCH_PICTURES)]
    if resident:
        for batch in batches:
            yield batch, store[batch].gather(THUMBNAIL_PIXELS, "squash")
    else:
        yield from zip(batches, store.stream(THUMBNAIL_PIXELS, "squash", batches), strict=True)


def downsample_by_two(thumbnails: NDArray[np.uint8]) -> SmallThumbnails:
    """Average (N, 3, 32, 32) over squares of two by two pixels."""
    return np.asarray((_sums(thumbnails) + 2) >> 2, np.uint8)


def hashes(coefficients: NDArray[np.float32]) -> NDArray[np.uint64]:
    """64-bit perceptual hashes of (N, 64) lowest frequencies: which of them lie above their median."""
    median = np.partition(coefficients, (31, 32), axis=1)[:, 31:33].mean(1, keepdims=True)
    packed: NDArray[np.uint64] = np.packbits(coefficients > median, axis=1).view(np.uint64).ravel()
    return packed


def _hash_batch(
    rows: NDArray[np.int64], thumbnails: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float32], SmallThumbnails]:
    """Rows, hashes, mean brightness and small thumbnails of a batch, as :class:`PerceptualHashes` has them."""
    sums = _sums(thumbnails)
    small = np.asarray((sums + 2) >> 2, np.uint8)
    grey = (sums[:, 0] + sums[:, 1] + sums[:, 2]).reshape(len(sums), -1).astype(np.float32)
    brightness = grey.mean(1)
    low = grey @ _cosine_basis()
    low[:, 0] = 0.0  # the mean brightness says nothing about the content
    lean = low[:, 1].copy()  # the lowest horizontal frequency: how much brighter the left is
    contrast = np.sqrt(np.square(grey - brightness[:, None]).sum(1))
    brighter_right = np.flatnonzero(lean < 0)
    small[brighter_right] = small[brighter_right, :, :, ::-1]
    low[brighter_right] *= _mirror_signs()
    symmetric = np.flatnonzero(np.abs(lean) <= _MAX_SYMMETRIC_LEAN * contrast)
    low = np.concatenate([low, low[symmetric] * _mirror_signs()])
    small = np.concatenate([small, small[symmetric, :, :, ::-1]])
    return np.append(rows, rows[symmetric]), hashes(low), np.append(brightness, brightness[symmetric]), small


def _sums(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """(N, 3, 16, 16) sums over squares of two by two pixels, two pixels read as one number for speed."""
    pixel_pairs = np.ascontiguousarray(thumbnails).view(np.uint16)
    across = (pixel_pairs & 255) + (pixel_pairs >> 8)
    return np.asarray(across[:, :, 0::2] + across[:, :, 1::2])


@cache
def _cosine_basis() -> NDArray[np.float32]:
    """(256, 64): the lowest 8 x 8 frequencies of the cosine transform over 16 x 16 pixels, of unit length."""
    frequency, position = np.arange(8)[:, None], np.arange(SMALL_PIXELS)[None, :]
    waves = np.cos(np.pi * frequency * (2 * position + 1) / (2 * SMALL_PIXELS))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.asarray(np.einsum("uy,vx->yxuv", waves, waves).reshape(SMALL_PIXELS * SMALL_PIXELS, 64), np.float32)


@cache
def _mirror_signs() -> NDArray[np.float32]:
    """(64,) what mirroring multiplies each coefficient by: -1 where the horizontal frequency is odd."""
    return np.tile(np.array([1, -1], np.float32), 32)
