"""Masks: white where something is to be generated. Which mask is whose, and what is white in it."""

import posixpath
import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.decode import to_square
from diptych.data.images import Images, ImagesLike
from diptych.data.messages import join_names
from diptych.errors import DataError, UsageError
from diptych.synthesis.datasets import GEOMETRY

MASK_THRESHOLD = 25  # of 255: a pixel that a mask covers by a tenth no longer counts as known
_WHITE = 128  # what the white of a mask with transparent parts has at least
_MAX_COLOUR = 16  # difference of the channels of a grey, which a JPEG may have
_NUMBERED = re.compile(r"#\d+$")  # the path of a picture that is no file of its own
_MASK_OF = re.compile(r"[ _.-]?mask", re.IGNORECASE)  # cat_mask.png is the mask of cat.jpg


def hole_masks(mask: ImagesLike, images: Images, size: int) -> Tensor:
    """The white part of masks at the model's geometry: (N, 1, S, S) bool for N pictures.

    Parameters
    ----------
    mask
        One for all pictures, or one each: pictures, white where something is to be generated; or an array (H, W) or
        (N, H, W) of bool. Each has its picture's own width and height, or ``size`` pixels a side. Files belong
        together by their names; what is transparent in a mask is not white.

    Raises
    ------
    UsageError
        A mask has another size or nothing white, or a picture has none.
    """
    is_array = isinstance(mask, np.ndarray)
    masks = _masks_from_array(mask) if isinstance(mask, np.ndarray) else Images.of(mask)
    rows = mask_rows(masks, images)
    whole = {int(row): _white_on_black(masks, int(row)) for row in np.unique(rows)}
    for row, own, path in zip(rows, images.dimensions(), images.paths, strict=True):
        height, width = whole[int(row)].shape[:2]
        if (width, height) not in (tuple(own), (size, size)):
            raise UsageError(
                f"The mask {masks.paths[row]} has {width} × {height} pixels, but {path} has {own[0]} × {own[1]}. "
                f"Draw the mask over the picture itself, or make it {size} × {size}."
            )
    holes = {row: to_square(pixels, size, GEOMETRY).mean(-1) > MASK_THRESHOLD for row, pixels in whole.items()}
    empty = [row for row, hole in holes.items() if not hole.any()]
    if len(empty) == len(holes) or (empty and not is_array):
        raise UsageError(_nothing_white(masks.paths[empty[0]], whole[empty[0]]))
    return torch.from_numpy(np.stack([holes[int(row)] for row in rows])).unsqueeze(1)


def mask_rows(masks: Images, images: Images) -> NDArray[np.int64]:
    """The row of each picture's mask: the only one there is, the one of its name, or of what has no names, its number.

    Raises
    ------
    UsageError
        A picture has no mask, or several.
    """
    if len(masks) == 1:
        return np.zeros(len(images), np.int64)
    if any(_NUMBERED.search(path) for path in (*masks.paths, *images.paths)):
        if len(masks) != len(images):
            raise UsageError(
                f"Give one mask, or one for each picture: there are {len(images)} pictures and {len(masks)} masks."
            )
        return np.arange(len(images))
    rows_of: dict[str, list[int]] = {}
    for row, path in enumerate(masks.paths):
        stem = _stem(path)
        for name in dict.fromkeys((stem, _MASK_OF.sub("", stem, count=1))):
            rows_of.setdefault(name, []).append(row)
    rows = []
    for path in images.paths:
        found = rows_of.get(_stem(path), [])
        if len({masks.paths[row] for row in found}) != 1:
            names = join_names([posixpath.basename(masks.paths[row]) for row in found or range(len(masks))])
            what = "several masks" if found else "no mask"
            raise UsageError(f"{path} has {what}: the masks are {names}. Name each mask as its picture.")
        rows.append(found[0])
    return np.array(rows, np.int64)


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _white_on_black(masks: Images, row: int) -> NDArray[np.uint8]:
    """The (H, W, 3) pixels of a mask with what is transparent black, if the rest is grey with some white in it."""
    white, black = masks.picture(row), masks.picture(row, ground="black")
    if np.array_equal(white, black):
        return white
    levels = black.astype(np.int16)
    if levels.max() < _WHITE or np.ptp(levels, axis=-1).max() > _MAX_COLOUR:
        raise UsageError(
            f"The mask {masks.paths[row]} has transparent parts, and its other parts are not white on black: nothing "
            "says which to generate. Paint those white and all others black."
        )
    return black


def _nothing_white(path: str, pixels: NDArray[np.uint8]) -> str:
    if pixels.max() > MASK_THRESHOLD:
        return f"The mask {path} is white only outside the centred square that the model sees: nothing would change."
    return (
        f"The mask {path} has nothing white, so that nothing would change: its values go up to {pixels.max()}. Where "
        "to generate must be 255."
    )


def _masks_from_array(mask: np.ndarray) -> Images:
    array = np.asarray(mask)
    if array.ndim not in (2, 3) or array.dtype != np.bool_:
        raise UsageError(f"A mask is an array (H, W) or (N, H, W) of bool, not {array.shape} of {array.dtype}.")
    array = array[None] if array.ndim == 2 else array
    try:
        return Images.from_arrays(array.astype(np.uint8) * 255, paths=[f"#{i}" for i in range(len(array))])
    except DataError as error:
        raise UsageError(str(error)) from error
