"""Pictures that are arrays already: in memory, in .npz files, and scikit-learn's digits."""

import math
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.labels import labels_from_values
from diptych.data.messages import printable
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import Files
from diptych.data.sources.unpacked_size import check_memory, check_unpacked
from diptych.errors import DataError

_PIXEL_NAMES = ("pixels", "images", "image", "x", "X", "x_train", "data", "arr_0")
_LABEL_NAMES = ("labels", "label", "y", "Y", "y_train", "targets", "arr_1")


class ArraySource(Source):
    """Pictures in memory: one (N, H, W, 3) uint8 array, or a sequence of (H, W, 3)."""

    def __init__(self, pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], metadata: Metadata) -> None:
        self.pixels = pixels
        super().__init__(metadata)

    def read(self, row: int) -> NDArray[np.uint8]:
        """See :class:`Source`."""
        return self.pixels[row]

    def marks_content(self, row: int) -> bytes:
        """See :class:`Source`; pixels have no marks."""
        return b""

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        picture = self.pixels[row]
        return blake2b(f"{picture.shape}".encode() + picture.tobytes(), digest_size=16).digest()


def from_arrays(
    pixels: Any,
    labels: Any = None,
    *,
    classes: Sequence[str] = (),
    groups: Mapping[str, Any] | None = None,
    origins: Any = None,
    paths: Sequence[str] | None = None,
) -> Source:
    """See :meth:`diptych.Images.from_arrays`."""
    pictures = to_rgb(pixels)
    n = len(pictures)
    numbers, names = labels_from_values(labels, n, tuple(str(name) for name in classes))
    columns = {str(name): np.array(values) for name, values in (groups or {}).items()}
    checked = {**columns, **({} if origins is None else {"origins": _broadcast(origins, n)})}
    for name, values in [*checked.items(), ("paths", np.empty(n) if paths is None else np.asarray(paths))]:
        if values.shape != (n,):
            raise DataError(f"{n} pictures need {n} {name}, but they have the shape {values.shape}.")
        if values.dtype.kind == "V":
            raise DataError(f"{printable(name)} holds records of the type {values.dtype}; give a text or number each.")
    names_of_pictures = [f"array#{i}" for i in range(n)] if paths is None else [str(path) for path in paths]
    metadata = Metadata(
        paths=names_of_pictures, labels=numbers, classes=names, groups=columns, origins=checked.get("origins")
    )
    return ArraySource(pictures, metadata)


def to_rgb(pixels: Any) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
    """Make (N, H, W, 3) uint8 of grey, RGB or RGBA pixels, HWC or CHW; a list when sizes differ.

    uint8 is used as it is, booleans as 0 and 255, floats must lie in 0..1.
    """
    if isinstance(pixels, (list, tuple)) and len({np.shape(picture) for picture in pixels}) > 1:
        return [to_rgb(np.asarray(picture)[None])[0] for picture in pixels]
    array = np.asarray(pixels)
    if array.ndim == 4 and array.shape[-1] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape[1:]:
        raise DataError(
            f"Pixels have the shape {np.shape(pixels)}; they must be (N, H, W, 3), or (N, H, W) if they are grey."
            + (_cure_of_flattened(array.shape[1]) if array.ndim == 2 and array.shape[1] else "")
        )
    array = _to_uint8(array)
    if array.shape[-1] == 4:
        alpha = array[..., 3:].astype(np.uint16)
        array = ((array[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    elif array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=3)
    return np.ascontiguousarray(array)


def open_npz(files: Files, name: str) -> Source:
    """Open an .npz file that holds pixels and, optionally, labels, class names, origins, and further columns."""
    where = files.path(name)
    try:
        packed = files.size(name)
        with files.open(name) as file, np.load(file, allow_pickle=False) as archive:
            unpacked = sum(member.file_size for member in archive.zip.infolist())
            check_unpacked(packed, unpacked, where)
            check_memory(unpacked, where)
            arrays = {key: archive[key] for key in archive.files}
    except DataError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{where} cannot be read: {str(error).partition(chr(10))[0]}") from None
    except Exception as error:  # zipfile.BadZipFile and others that damaged archives cause
        raise DataError(f"{where} is damaged: {error}") from None
    others = [key for key, values in arrays.items() if not isinstance(values, np.ndarray) or _takes_no_bytes(values)]
    if others:
        raise DataError(f"{where}: {printable(others[0])} is no array. Write the file again with numpy.savez.")
    pixels = next((arrays.pop(key) for key in _PIXEL_NAMES if key in arrays), None)
    if pixels is None:
        raise DataError(f'{where} holds {", ".join(arrays) or "nothing"}; name the pictures "pixels".')
    labels = next((arrays.pop(key) for key in _LABEL_NAMES if key in arrays), None)
    for key, values in arrays.items():
        if _holds_no_text(values):
            raise DataError(f"{where}: {printable(key)} holds text that is no Unicode. Write the file again.")
    classes = [str(item) for item in np.ravel(arrays.pop("classes", ()))]
    origins = arrays.pop("origins", None)
    pixels = to_rgb(pixels)
    n = len(pixels)
    paths = [f"{where}#{i}" for i in range(n)]
    groups = {key: values for key, values in arrays.items() if values.shape == (n,)}
    return from_arrays(pixels, labels, classes=classes, groups=groups, origins=origins, paths=paths)


def load_digits() -> Source:
    """Read scikit-learn's 1,797 handwritten digits, 8 px, their 17 grey levels scaled to 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    paths = [f"digits#{i}" for i in range(len(pixels))]
    return from_arrays(pixels, bunch.target, classes=[str(i) for i in range(10)], paths=paths)


def _takes_no_bytes(values: NDArray[Any]) -> bool:
    """Whether a few bytes of header stand for any number of values, each of which is empty."""
    return bool(values.size) and not values.dtype.itemsize


def _holds_no_text(values: NDArray[Any]) -> bool:
    """Whether an array of text has numbers in it that stand for no character, which Python itself cannot show."""
    if values.dtype.kind != "U" or not values.size:
        return False
    codes = np.ascontiguousarray(values).view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
    return bool((codes > sys.maxunicode).any())


def _cure_of_flattened(values: int) -> str:
    return f" Flattened pictures need their height and width, such as {unflattened(values)}."


def unflattened(values: int) -> str:
    """The call that makes pictures of flattened ones, of so many values each: ``reshape(-1, 28, 28)``."""
    colour_side, side = math.isqrt(values // 3), math.isqrt(values)
    if 3 * colour_side**2 == values:
        return f"reshape(-1, {colour_side}, {colour_side}, 3), or reshape(-1, 3, {colour_side}, {colour_side})"
    width = next(width for width in range(side, 0, -1) if values % width == 0)
    return f"reshape(-1, {values // width}, {width})"


def _broadcast(values: Any, n: int) -> NDArray[Any]:
    array = np.asarray(values)
    return np.full(n, str(values)) if array.ndim == 0 else array


def _to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise DataError(f"Pixels are of the type {array.dtype}; they must be uint8 in 0..255, or floats in 0..1.")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if array.dtype.kind == "f" and low >= 0.0 and high <= 1.0:
        return np.asarray(np.rint(array * 255), np.uint8)
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    raise DataError(
        f"Pixels lie in {low:g} to {high:g} as {array.dtype}; they must be uint8 in 0..255, or floats in 0..1."
    )
