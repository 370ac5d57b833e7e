"""The samples of a TIFF: strips and tiles unpacked, with any predictor, depth and order of planes (TIFF 6.0)."""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decoding.completeness import DAMAGED, TRUNCATED
from diptych.data.decoding.limits import MAX_FILE_BYTES
from diptych.errors import PictureError

Samples = NDArray[Any]
Tags = Mapping[int, Any]

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
_KINDS = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}
_WHOLE_BYTES = {UNSIGNED: (8, 16, 32, 64), SIGNED: (8, 16, 32, 64), FLOAT: (16, 32, 64)}
_DEFLATE = (8, 32946)
_BY_LIBTIFF = (5, 32773, 34925, 50000)  # LZW, PackBits, LZMA, Zstandard
_ROWS_OF_BITS = 1 << 20  # samples whose bits are taken apart at a time


@dataclass(frozen=True)
class Layout:
    """How the samples of a TIFF lie in its file."""

    width: int
    height: int
    samples: int  # of a pixel
    bits: int  # of a sample
    kind: int  # UNSIGNED, SIGNED or FLOAT
    order: str  # of bytes: < or >
    compression: int
    predictor: int
    planes: bool  # each sample in a plane of its own
    reversed_bits: bool
    block: tuple[int, int]  # width and height of a tile, or of a strip
    tiled: bool
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, tags: Tags, order: str) -> "Layout":
        """Read the layout from the tags.

        Raises
        ------
        PictureError
            Says what of it is not read.
        """
        samples = int(tags.get(277, 1))
        bits, kinds = set(as_tuple(tags.get(258, 1))[:samples]), set(as_tuple(tags.get(339, UNSIGNED))[:samples])
        bit, kind = min(bits), min(kinds)
        known = kind in _KINDS and (bit in _WHOLE_BYTES[kind] or (kind == UNSIGNED and 1 <= bit < 16))
        if len(bits) > 1 or len(kinds) > 1 or not known:
            depths = ", ".join(str(bit) for bit in sorted(bits))
            raise PictureError(f"a TIFF with samples of {depths} bits of this kind is not read; {SAVE_AS}")
        compression, predictor = int(tags.get(259, 1)), int(tags.get(317, 1))
        if compression not in (1, *_DEFLATE, *_BY_LIBTIFF) or predictor not in (1, 2, 3):
            raise PictureError(f"a TIFF of this kind with compression {compression} is not read; {SAVE_AS}")
        width, height, tiled = int(tags[256]), int(tags[257]), 322 in tags
        block = (int(tags[322]), int(tags[323])) if tiled else (width, max(1, min(int(tags.get(278, height)), height)))
        offsets = as_tuple(tags[324 if tiled else 273])
        counts = as_tuple(tags.get(325 if tiled else 279, (MAX_FILE_BYTES,) * len(offsets)))
        planes, reversed_bits = tags.get(284, 1) == 2 and samples > 1, tags.get(266, 1) == 2
        layout = cls(
            *(width, height, samples, bit, kind, order, compression, predictor, planes, reversed_bits),
            *(block, tiled, offsets, counts),
        )
        if min(block) < 1 or samples < 1 or width * height * samples * bit // 8 > MAX_FILE_BYTES:
            raise PictureError("the file unpacks to more than is read at a time")
        if block[0] * block[1] * samples * bit // 8 > 2 * MAX_FILE_BYTES:
            raise PictureError(DAMAGED)
        return layout

    @property
    def samples_of_block(self) -> int:
        """How many samples of a pixel lie side by side."""
        return 1 if self.planes else self.samples


SAVE_AS = "save it as TIFF with 8 or 16 bits, or as PNG"


def blocks(data: bytes | memoryview, layout: Layout, used: int) -> Iterator[tuple[int, int, int, Samples]]:
    """Yield the first sample, the row, the column and the (h, w, n) samples of each block.

    ``used`` is how many samples of a pixel are needed; planes after these are not unpacked.
    """
    across = -(-layout.width // layout.block[0])
    down = -(-layout.height // layout.block[1])
    for i in range(across * down * (min(used, layout.samples) if layout.planes else 1)):
        plane, place = divmod(i, across * down)
        row, column = place // across * layout.block[1], place % across * layout.block[0]
        if i >= len(layout.offsets) or i >= len(layout.counts):
            raise PictureError(TRUNCATED)
        height = layout.block[1] if layout.tiled else min(layout.block[1], layout.height - row)
        chunk = data[layout.offsets[i] : layout.offsets[i] + layout.counts[i]]
        samples = _samples(chunk, layout, height)
        yield plane, row, column, samples[: layout.height - row, : layout.width - column]


def _samples(chunk: bytes | memoryview, layout: Layout, height: int) -> Samples:
    """(height, width of a block, n) samples of a block."""
    row_samples = layout.block[0] * layout.samples_of_block
    row_bytes = (row_samples * layout.bits + 7) // 8
    rows = np.frombuffer(_unpack(chunk, layout, row_bytes, height), np.uint8).reshape(height, row_bytes)
    shape = (height, layout.block[0], layout.samples_of_block)
    if layout.predictor == 3 and layout.kind == FLOAT:  # Adobe Photoshop TIFF Technical Note 3
        bytes_ = rows.reshape(height, -1, shape[2]).cumsum(1, dtype=np.uint8).reshape(height, layout.bits // 8, -1)
        ordered: Samples = np.ascontiguousarray(bytes_.transpose(0, 2, 1))
        return ordered.view(f">f{layout.bits // 8}").reshape(shape)
    if layout.bits not in _WHOLE_BYTES[layout.kind]:
        return _bits(rows, row_samples, layout.bits).reshape(shape)
    kind = f"{layout.order}{_KINDS[layout.kind]}{layout.bits // 8}"
    samples = rows.view(kind).reshape(shape)
    if layout.predictor == 2:
        whole = samples.view(f"{layout.order}u{layout.bits // 8}")
        return whole.cumsum(1, dtype=f"=u{layout.bits // 8}").view(f"={kind[1:]}")
    return samples


def _bits(rows: NDArray[np.uint8], count: int, bits: int) -> Samples:
    """(height, count) samples of an odd number of bits, the highest bit first."""
    out = np.empty((len(rows), count), np.uint16)
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)
    step = max(1, _ROWS_OF_BITS // count)
    for i in range(0, len(rows), step):
        part = np.unpackbits(rows[i : i + step], axis=1)[:, : count * bits]
        out[i : i + step] = part.reshape(len(part), count, bits) @ weights
    return out


def _unpack(chunk: bytes | memoryview, layout: Layout, row_bytes: int, height: int) -> bytes | memoryview:
    """A block's bytes, all that it should have."""
    expected = row_bytes * height
    if layout.reversed_bits:
        chunk = np.packbits(np.unpackbits(np.frombuffer(chunk, np.uint8)), bitorder="little").tobytes()
    if layout.compression in _DEFLATE:
        chunk = zlib.decompressobj().decompress(chunk, expected)
    elif layout.compression != 1:
        chunk = _by_libtiff(bytes(chunk), layout.compression, row_bytes, height)
    if len(chunk) < expected:
        raise PictureError(TRUNCATED)
    return chunk[:expected]


def _by_libtiff(chunk: bytes, compression: int, row_bytes: int, height: int) -> bytes:
    """Unpack a block as if it were a small TIFF of bytes by itself."""
    tags = [(256, row_bytes), (257, height), (258, 8), (259, compression), (262, 1), (273, 122), (277, 1)]
    tags += [(278, height), (279, len(chunk))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    file = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + chunk
    picture: Image.Image = Image.OPEN["TIFF"][0](io.BytesIO(file), "")
    picture.load()
    return picture.tobytes()


def as_tuple(value: Any) -> tuple[int, ...]:
    """The values of a tag, of which one comes by itself."""
    return tuple(int(item) for item in value) if isinstance(value, tuple) else (int(value),)
