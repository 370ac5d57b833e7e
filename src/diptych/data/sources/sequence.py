"""Pictures that are objects of a program: a list of them, or a map-style dataset that gives one for each row."""

import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decode import decode
from diptych.data.sources.arrays import to_rgb
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import LocalFiles
from diptych.errors import DataError, PictureError

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA

Content = bytes | memoryview | NDArray[np.uint8]  # a file's bytes, or (H, W, 3) pixels


class SequenceSource(Source):
    """Pictures that a function gives by row, one row at a time: a program's dataset may not bear several threads.

    Parameters
    ----------
    picture
        From a row to anything that :func:`content_of` takes.
    of_pixels
        It decodes files itself, so that it is not asked for a row only to look for marks in a file.
    """

    def __init__(self, picture: Callable[[int], Any], metadata: Metadata, *, of_pixels: bool = False) -> None:
        self._picture, self._lock, self._of_pixels = picture, threading.Lock(), of_pixels
        super().__init__(metadata)

    def read(self, row: int) -> Content:
        """See :class:`Source`."""
        name = str(self.metadata.paths[row])
        with self._lock:
            try:
                return content_of(self._picture(row), name)
            except PictureError:
                raise
            except DataError as error:
                raise PictureError(str(error).rstrip("."), name) from None
            except Exception as error:  # whatever a program's own dataset raises
                raise PictureError(f"its dataset raises {type(error).__name__}: {error}", name) from error

    def marks_content(self, row: int) -> bytes:
        """See :class:`Source`; a picture of Pillow, an array and a program's dataset of these have lost their files."""
        if self._of_pixels:
            return b""
        with self._lock:
            picture = self._picture(row)
        return b"" if isinstance(picture, Image.Image) or is_array(picture) else bytes(content_of(picture))

    def identity(self, row: int) -> bytes:
        """See :class:`Source`; an object has nothing cheaper than its content."""
        try:
            content = self.read(row)
        except PictureError:
            return b"none"
        shape = content.shape if isinstance(content, np.ndarray) else ()
        return blake2b(f"{shape}".encode() + bytes(content), digest_size=16).digest()


def content_of(picture: Any, name: str = "") -> Content:
    """The content of one picture: a path, a file's bytes, a picture of Pillow, an array, a tensor.

    Or bytes and path, as a Hugging Face dataset has them.

    Raises
    ------
    DataError
        It is none of these, or its shape or range is not a picture's.
    PictureError
        It cannot be read.
    """
    if isinstance(picture, str) or hasattr(picture, "__fspath__"):
        return LocalFiles("").read(str(picture))
    if isinstance(picture, Image.Image):
        return decode(picture, name)
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, dict) and picture.keys() >= {"bytes", "path"}:
        return picture["bytes"] if picture["bytes"] is not None else content_of(picture["path"], name)
    if is_array(picture):
        return rgb_pixels(picture)
    raise DataError(
        f"{_type_name(picture)} is not a picture. A picture is a path, a file's bytes, one of Pillow, an array or a "
        "tensor."
    )


def is_array(value: Any) -> bool:
    """Whether it is an array or a tensor, of NumPy, torch or another library."""
    return hasattr(value, "__array__") and hasattr(value, "shape") and hasattr(value, "dtype")


def rgb_pixels(picture: Any) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of one picture (H, W), (H, W, C) or (C, H, W) in memory.

    Raises
    ------
    DataError
        Its shape or range is another one.
    """
    array = to_numpy(picture)
    if array.ndim == 3 and array.shape[-1] not in CHANNELS and array.shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    if array.ndim != 2 and (array.ndim != 3 or array.shape[-1] not in CHANNELS):
        raise DataError(
            f"A picture has the shape {array.shape}; it must be (H, W, 3), (3, H, W), or (H, W) if it is grey."
        )
    return to_rgb(array[None])[0]


def to_numpy(array: Any) -> NDArray[Any]:
    """An array of NumPy, whose channels of a tensor come last: (C, H, W) of torch is (H, W, C) of NumPy.

    A tensor (3, H, 3), which may be either, is taken as torch has it.
    """
    if not hasattr(array, "detach"):
        return np.asarray(array)
    tensor = array.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    if tensor.ndim in (3, 4) and tensor.shape[-3] in CHANNELS:
        tensor = tensor.movedim(-3, -1)
    return np.asarray(tensor.numpy())


def _type_name(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'An' if name[0].lower() in 'aeiou' else 'A'} {name}"
