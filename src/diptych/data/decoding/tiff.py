"""TIFF by the meaning of its tags: the depths, sample formats, bands and colour spaces that Pillow does not know.

How the samples are understood (TIFF 6.0): those that the photometric interpretation names are the colours, a declared
alpha is laid on white, and one further band is passed over; several of them beside grey are refused. Unsigned samples
of up to 16 bits have the full scale of their depth; others are scaled by what they hold.
"""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

from diptych.data.decoding.colour import rescaled
from diptych.data.decoding.kinds import RAW_REASON
from diptych.data.decoding.tiff_blocks import FLOAT, SAVE_AS, UNSIGNED, Layout, Tags, as_tuple, blocks
from diptych.errors import PictureError

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB, _ICC_LAB = 0, 1, 2, 3, 5, 6, 8, 9
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _LAB: 3, _ICC_LAB: 3}
_RAW_PHOTOMETRICS = (32803, 34892)  # of DNG: a colour filter array, linear raw
_DNG_VERSION, _ICC_PROFILE, _EXTRA_SAMPLES = 50706, 34675, 338
_OTHER_INKS, _PLANES_APART = 2, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha: multiplied into the colours, or not
_MODES = {(1, 0): "L", (1, 1): "La", (1, 2): "LA", (3, 0): "RGB", (3, 1): "RGBa", (3, 2): "RGBA"}


def open_tiff(data: bytes | memoryview) -> ImageFile.ImageFile:
    """Read the header of a TIFF: by Pillow where it knows the kind and has 8 bits at most, else by this module.

    Raises
    ------
    PictureError
        If it is a camera's raw file, or of a kind that is not read.
    SyntaxError
        If it is damaged.
    """
    data = _from_whole_page(data)
    tags = _tags(io.BytesIO(data))[0]
    photometric = tags.get(262)
    if _DNG_VERSION in tags or photometric in _RAW_PHOTOMETRICS:
        raise PictureError(RAW_REASON)
    if max(as_tuple(tags.get(258, 1))) > 8 or max(as_tuple(tags.get(339, 1))) > 1 or photometric == _ICC_LAB:
        return _DeepTiff(io.BytesIO(data), "")
    try:
        picture = TiffImagePlugin.TiffImageFile(io.BytesIO(data), "")
    except SyntaxError:
        return _DeepTiff(io.BytesIO(data), "")
    if photometric == _YCBCR and picture.info.get("compression") == "raw":
        # Pillow would take subsampled colours for whole ones: libtiff knows better.
        picture._mode = "RGB"
        picture.use_load_libtiff = True
        extents = (0, 0, *picture._tile_size)
        picture.tile = [ImageFile._Tile("libtiff", extents, 0, ("RGBX", False, picture.tag_v2.offset))]
    if picture.mode == "RGBA" and _EXTRA_SAMPLES not in tags:  # the fourth is such as infrared
        if tags.get(284) == _PLANES_APART:
            return _DeepTiff(io.BytesIO(data), "")
        picture._mode = "RGB"
        picture.tile = [tile._replace(args=("RGBX", *tuple(tile.args or ())[1:])) for tile in picture.tile]
    return picture


class _DeepTiff(ImageFile.ImageFile):
    """A TIFF that this module decodes."""

    format = "TIFF"
    format_description = "TIFF of a kind that Pillow does not read"

    def _open(self) -> None:
        assert self.fp is not None
        self._tags, order = _tags(self.fp)
        photometric = self._tags.get(262, _BLACK_IS_ZERO)
        if photometric not in _COLOURS or (photometric == _CMYK and self._tags.get(332, 1) == _OTHER_INKS):
            raise PictureError(f"a TIFF of this kind of colours (photometric {photometric}) is not read; {SAVE_AS}")
        self._photometric, self._layout = photometric, Layout.of(self._tags, order)
        _check_bands(self._layout.samples, photometric, self._tags)
        size = self._layout.width, self._layout.height
        self._size = size[::-1] if self._tags.get(274) in (5, 6, 7, 8) else size
        self._mode = "RGB"
        self.tile = []
        if isinstance(profile := self._tags.get(_ICC_PROFILE), bytes):
            self.info["icc_profile"] = profile

    def load(self) -> Any:
        """Decode all samples."""
        if self._im is None:
            assert self.fp is not None
            self.fp.seek(0)
            picture = _by_meaning(self.fp.read(), self._tags, self._layout, self._photometric)
            picture.getexif()[274] = self._tags.get(274, 1)
            picture = ImageOps.exif_transpose(picture)
            self._mode, self._size, self.im = picture.mode, picture.size, picture.im
        return Image.Image.load(self)


def _check_bands(samples: int, photometric: int, tags: Tags) -> None:
    """Refuse bands of which nothing says what is to be seen: one beside grey is passed over, several are no grey."""
    colours = _COLOURS[photometric]
    unknown = samples - colours - sum(meaning in (_ASSOCIATED, _UNASSOCIATED) for meaning in _extra(tags))
    if samples < colours or (colours == 1 and unknown > 1):
        raise PictureError(
            f"a TIFF of {samples} bands that does not say which are red, green and blue; save those to be seen as RGB"
        )


def _extra(tags: Tags) -> tuple[int, ...]:
    """The meanings of the bands after the colours, as far as they are declared."""
    return as_tuple(tags.get(_EXTRA_SAMPLES, ()))


def _by_meaning(data: bytes, tags: Tags, layout: Layout, photometric: int) -> Image.Image:
    """The picture that the samples stand for."""
    colours, extra = _COLOURS[photometric], _extra(tags)
    alphas = [i for i, meaning in enumerate(extra) if meaning in (_ASSOCIATED, _UNASSOCIATED)]
    bands = [*range(colours), *(colours + i for i in alphas[:1] if colours + i < layout.samples)]
    has_alpha = len(bands) > colours
    if photometric == _PALETTE:
        bytes_ = _by_palette(_gather(data, layout, [0]), tags, layout)
    elif photometric in (_LAB, _ICC_LAB):
        bytes_ = _lab(_gather(data, layout, bands[:3]), layout, photometric)
    elif layout.kind == UNSIGNED and layout.bits <= 16:
        bytes_ = _to_bytes(_gather(data, layout, bands), layout.bits)
    else:
        values = _gather(data, layout, bands).astype(np.float64)
        parts = [values[..., :colours], values[..., colours:]] if has_alpha else [values]
        bytes_ = np.concatenate([rescaled(part, None, layout.kind == FLOAT) for part in parts], -1)
    if photometric == _WHITE_IS_ZERO:
        bytes_[..., 0] = 255 - bytes_[..., 0]
    if photometric in (_LAB, _ICC_LAB):
        return Image.merge("LAB", [Image.fromarray(np.ascontiguousarray(bytes_[..., i])) for i in range(3)])
    if photometric == _CMYK:
        return _picture("CMYK", bytes_[..., :4])
    alpha = extra[bands[-1] - colours] if has_alpha and photometric != _PALETTE else 0
    return _picture(_MODES[bytes_.shape[2] - bool(alpha), alpha], bytes_)


def _picture(mode: str, values: NDArray[np.uint8]) -> Image.Image:
    return Image.frombytes(mode, values.shape[1::-1], values.tobytes())


def _gather(data: bytes, layout: Layout, bands: list[int]) -> NDArray[Any]:
    """(H, W, n) samples of these bands, as stored."""
    out: NDArray[Any] | None = None
    for plane, row, column, samples in blocks(data, layout, max(bands) + 1):
        if out is None:
            out = np.zeros((layout.height, layout.width, len(bands)), samples.dtype.newbyteorder("="))
        height, width = samples.shape[:2]
        if layout.planes:
            if plane in bands:
                out[row : row + height, column : column + width, bands.index(plane)] = samples[..., 0]
        else:
            out[row : row + height, column : column + width] = samples[..., bands]
    assert out is not None
    return out


def _to_bytes(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Unsigned samples of a full scale to 0..255, to the nearest."""
    full = (1 << bits) - 1
    if bits == 8:
        return values.astype(np.uint8)
    table = ((np.arange(full + 1, dtype=np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    return np.asarray(table[values])


def _by_palette(indices: NDArray[Any], tags: Tags, layout: Layout) -> NDArray[np.uint8]:
    """Colours of 16 bits by the colour map: all reds, then all greens, then all blues."""
    colours = _to_bytes(np.array(tags[320], np.uint16).reshape(3, 1 << layout.bits), 16)
    return np.asarray(colours.T[indices[..., 0]])


def _lab(values: NDArray[Any], layout: Layout, photometric: int) -> NDArray[np.uint8]:
    """L*a*b* of 8 or 16 bits as Pillow stores it: L* by its full scale, a* and b* from -128 as 0."""
    if layout.kind == FLOAT or layout.bits not in (8, 16):
        raise PictureError(f"a TIFF of L*a*b* with {layout.bits} bits of this kind is not read; {SAVE_AS}")
    values = values.astype(np.int64) & ((1 << layout.bits) - 1)
    if photometric == _LAB:  # a* and b* are signed
        values[..., 1:] = (values[..., 1:] + (1 << (layout.bits - 1))) & ((1 << layout.bits) - 1)
    if layout.bits == 16:
        lightness = values[..., :1] / (257 if photometric == _LAB else 256)
        values = np.concatenate([lightness, values[..., 1:] / 256], -1)
    levels: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


def _from_whole_page(data: bytes | memoryview) -> bytes | memoryview:
    """The file, begun at the first page that is no reduced copy of another: some programs put a thumbnail first.

    Tag 254 says so by its lowest bit (TIFF 6.0, section 8).
    """
    file = io.BytesIO(data)
    header, order = _header(file)
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    first = place = directory.next
    seen: set[int] = set()
    while place and place not in seen:
        seen.add(place)
        file.seek(place)
        directory.load(file)
        if not int(directory.get(254, 0)) & 1:
            break
        place = directory.next
    if place in (0, first) or len(seen) == 1:
        return data
    classic = len(header) == 8  # else BigTIFF
    start = header[:4] + struct.pack(f"{order}L", place) if classic else header[:8] + struct.pack(f"{order}Q", place)
    return start + bytes(data[len(header) :])


def _tags(file: Any) -> tuple[dict[int, Any], str]:
    """The tags of the first directory, and the order of bytes."""
    header, order = _header(file)
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    file.seek(directory.next)
    directory.load(file)
    file.seek(0)
    return dict(directory), order


def _header(file: Any) -> tuple[bytes, str]:
    """The first bytes, which tell where the first directory is, and the order of bytes."""
    header: bytes = file.read(8)
    if header[2:4] in (b"\0+", b"+\0"):
        header += file.read(8)
    return header, "<" if header[:2] == b"II" else ">"
